// A canvas that writes SVG: the part of the 2D context that the pictures use, so that what draws them also exports them.

const number = (value) => String(Math.round(value * 100) / 100);

class SvgPath {
  constructor() { this.d = ""; }

  moveTo(x, y) { this.d += `M${number(x)} ${number(y)}`; }

  lineTo(x, y) { this.d += `L${number(x)} ${number(y)}`; }

  quadraticCurveTo(cx, cy, x, y) { this.d += `Q${number(cx)} ${number(cy)} ${number(x)} ${number(y)}`; }

  closePath() { this.d += "Z"; }

  rect(x, y, w, h) { this.d += `M${number(x)} ${number(y)}h${number(w)}v${number(h)}h${number(-w)}Z`; }

  roundRect(x, y, w, h, r) {
    const k = Math.max(0, Math.min(r, w / 2, h / 2)), arc = (dx, dy) => `a${number(k)} ${number(k)} 0 0 1 ${number(dx)} ${number(dy)}`;
    this.d += `M${number(x + k)} ${number(y)}h${number(w - 2 * k)}${arc(k, k)}v${number(h - 2 * k)}${arc(-k, k)}h${number(2 * k - w)}${arc(-k, -k)}v${number(2 * k - h)}${arc(k, -k)}Z`;
  }

  arc(x, y, r, from, to) {
    const at = (angle) => `${number(x + r * Math.cos(angle))} ${number(y + r * Math.sin(angle))}`;
    const turn = Math.min(to - from, 2 * Math.PI);
    const join = this.d && !this.d.endsWith("Z") ? "L" : "M";
    // Two arcs, since one whose ends meet is nothing in SVG.
    this.d += `${join}${at(from)}`;
    for (const angle of [from + turn / 2, from + turn]) this.d += `A${number(r)} ${number(r)} 0 0 1 ${at(angle)}`;
  }
}

class SvgCanvas {
  constructor(width, height, ground) {
    this.root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height },
      svg("rect", { width, height, fill: ground }));
    this.into = [this.root];
    this.ruler = document.createElement("canvas").getContext("2d");
    Object.assign(this, { globalAlpha: 1, lineWidth: 1, fillStyle: "#000", strokeStyle: "#000", lineCap: "butt", lineJoin: "miter", font: "11px sans-serif", textAlign: "left" });
    this.dash = [];
    this.depths = [];
    this.beginPath();
  }

  add(tag, attributes) {
    const alpha = this.globalAlpha < 1 ? this.globalAlpha : null;
    this.into[this.into.length - 1].append(svg(tag, { ...attributes, opacity: alpha }));
  }

  beginPath() { this.current = new SvgPath(); }

  moveTo(...at) { this.current.moveTo(...at); }

  lineTo(...at) { this.current.lineTo(...at); }

  arc(...at) { this.current.arc(...at); }

  rect(...at) { this.current.rect(...at); }

  roundRect(...at) { this.current.roundRect(...at); }

  closePath() { this.current.closePath(); }

  setLineDash(dash) { this.dash = dash; }

  clearRect() {}

  save() { this.depths.push(this.into.length); }

  restore() { this.into.length = this.depths.pop(); }

  clip() {
    const id = `clip${this.root.querySelectorAll("clipPath").length}`;
    this.root.append(svg("clipPath", { id }, svg("path", { d: this.current.d })));
    const group = svg("g", { "clip-path": `url(#${id})` });
    this.into[this.into.length - 1].append(group);
    this.into.push(group);
  }

  pen() {
    return {
      fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-linecap": this.lineCap, "stroke-linejoin": this.lineJoin,
      "stroke-dasharray": this.dash.length ? this.dash.join(" ") : null,
    };
  }

  stroke({ d } = this.current) { if (d) this.add("path", { d, ...this.pen() }); }

  fill({ d } = this.current) { if (d) this.add("path", { d, fill: this.fillStyle }); }

  fillRect(x, y, width, height) { this.add("rect", { x: number(x), y: number(y), width: number(width), height: number(height), fill: this.fillStyle }); }

  text(text, x, y, look) {
    const [, weight, size, family] = this.font.match(/^(?:(\d+) )?([\d.]+)px (.*)$/) ?? [null, null, 11, "sans-serif"];
    this.add("text", {
      x: number(x), y: number(y), "font-size": size, "font-family": family, "font-weight": weight, text,
      "text-anchor": { center: "middle", right: "end" }[this.textAlign] ?? "start", ...look,
    });
  }

  fillText(text, x, y) { this.text(text, x, y, { fill: this.fillStyle }); }

  strokeText(text, x, y) { this.text(text, x, y, this.pen()); }

  measureText(text) {
    this.ruler.font = this.font;
    return this.ruler.measureText(text);
  }
}

// --- files ---

const COPIED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "font-size", "font-weight", "font-family", "text-anchor", "paint-order", "display"];

// A copy of an SVG element that looks the same without its style sheet.
function frozen(element) {
  const copy = element.cloneNode(true);
  const [all, copies] = [[element, ...element.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
  all.forEach((one, i) => {
    const style = getComputedStyle(one);
    if (style.display === "none") copies[i].setAttribute("data-hidden", "");
    copies[i].setAttribute("style", COPIED.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
    for (const name of ["class", "tabindex", "role", "aria-label"]) copies[i].removeAttribute(name);
  });
  for (const hidden of copy.querySelectorAll("[data-hidden]")) hidden.remove();
  return copy;
}

// The topology as it is now: its own elements, and between them the messages and timers that the canvas shows.
function stageSvg(stage, model, now, theme) {
  const { width } = stage;
  const c = new SvgCanvas(width, STAGE_HEIGHT, theme.ground);
  c.root.append(...frozen(stage.under).childNodes);
  stage.flights.drawOn(c, model, now, theme, false, () => new SvgPath());
  c.root.append(...frozen(stage.over).childNodes);
  return new XMLSerializer().serializeToString(c.root);
}

// The window of the space-time diagram.
function tapeSvg(tape, theme) {
  const { width, height } = tape.view;
  const c = new SvgCanvas(width, height, theme.ground);
  tape.drawing.draw({ ...tape.view, c, path: () => new SvgPath() });
  return new XMLSerializer().serializeToString(c.root);
}

function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = html("a", { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}
