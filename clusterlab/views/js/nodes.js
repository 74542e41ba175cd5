// The nodes as elements: what can be clicked, focused and read; beside each, its role and label in words.

const CROWN = "M-11 6 L-12 -5 L-5.5 0 L0 -9 L5.5 0 L12 -5 L11 6 Z";
const BOX = "M-12,-14 H12 Q18,-14 18,-8 V8 Q18,14 12,14 H-12 Q-18,14 -18,8 V-8 Q-18,-14 -12,-14 Z";
const CLIENT_RADIUS = 15;
const CROWD = 9; // among more nodes there is no room for words beside each
const TAG_WIDTH = 150;

const fitName = (name) => (name.length <= 4 ? name : `${name.slice(0, 3)}…`);
const fit = (text, length) => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);

// Whether a label tells the epoch already, under the name that it has there ("view 3").
function tellsEpoch(node) {
  return typeof node.epoch === "number" && new RegExp(`[A-Za-z] ${node.epoch}(\\D|$)`).test(node.label);
}

// `leader · epoch 3 · isolated`
function nodeWords(node) {
  if (node.dead) return "dead";
  const words = [];
  if (node.role && !node.client) words.push(node.role);
  if (node.epoch !== null && !node.client && !tellsEpoch(node)) words.push(`epoch ${node.epoch}`);
  if (node.paused) words.push("paused");
  if (node.isolated) words.push("isolated");
  return words.join(" · ");
}

// Disk and clock, where there is something to tell of them.
function markWordsOf(node) {
  const words = [];
  if (node.disk === "lost") words.push("disk lost");
  else if (node.disk === "saved" && node.dead) words.push("its disk is safe");
  const clock = clockWords(node);
  if (clock) words.push(`clock ${clock}`);
  return words.join(" · ");
}

// `+500 ms ×1.5`: how a clock is wrong; nothing of a true one.
function clockWords(node) {
  const offset = node.offset ? `${node.offset > 0 ? "+" : "−"}${msText(Math.abs(node.offset))}` : "";
  return [offset, node.rate === 1 ? "" : `×${node.rate}`].filter(Boolean).join(" ");
}

// Where the signs of disk and clock stand, from the middle of a node.
const diskPlace = (radius) => [radius * 0.72 + 7, radius * 0.72 + 7];
const clockPlace = (radius) => [-radius * 0.72 - 7, radius * 0.72 + 7];
const CLOCK = "M0 -7 A7 7 0 1 1 -0.01 -7 Z M0 -4 V0 L3 2";

// What a client does, or did last: `✓ Put('x', 1)`.
function operationWords(node) {
  const o = node.operation ?? node.last;
  if (!o) return "";
  const sign = o.t1 === null ? "…" : { ok: "✓", fail: "✗", info: "?" }[o.outcome] ?? "";
  return `${sign} ${o.text}`;
}

class Nodes {
  constructor(on) {
    this.on = on; // {choose(name), key(event, name), focus(name)}
    this.tags = svg("g", { class: "cl-tags", "aria-hidden": "true" });
    this.element = svg("g", { class: "cl-nodes", role: "group", "aria-label": "nodes of the cluster" });
    this.parts = new Map(); // name -> elements
    this.selected = null;
  }

  make(node) {
    const name = node.name;
    const parts = {
      ground: svg("circle", { class: "cl-ground" }),
      focus: svg("circle", { class: "cl-focus" }),
      body: svg("path", { class: "cl-body" }),
      cage: svg("circle", { class: "cl-cage" }),
      crown: svg("path", { class: "cl-crown", d: CROWN }),
      sign: svg("path", { class: "cl-sign" }),
      disk: svg("path", { class: "cl-disk", d: DISK }),
      clock: svg("path", { class: "cl-clock", d: CLOCK }),
      skew: svg("text", { class: "cl-skew", "text-anchor": "end" }),
      name: svg("text", { class: "cl-name", text: fitName(name) }),
      head: svg("text", { class: "cl-head" }),
      label: svg("text", { class: "cl-label" }),
    };
    parts.group = svg("g", {
      class: node.client ? "cl-node cl-client" : "cl-node", "data-node": name, role: "button",
      tabindex: this.parts.size ? "-1" : "0", "aria-haspopup": "menu",
      onclick: () => this.on.choose(name),
      onkeydown: (event) => this.on.key(event, name),
      onfocus: () => this.on.focus(name),
    }, parts.ground, parts.focus, parts.body, parts.cage, parts.crown, parts.disk, parts.clock, parts.skew, parts.sign, parts.name);
    // Apart from the node, so that the middle of what is clicked is the middle of the node.
    parts.tag = svg("g", { class: node.client ? "cl-tag cl-client" : "cl-tag" }, parts.head, parts.label);
    this.parts.set(name, parts);
    this.element.append(parts.group);
    this.tags.append(parts.tag);
    return parts;
  }

  // Bring all elements up to date; `layout` and `targets` say where they will stand.
  update(model, layout, targets, width) {
    const crowd = layout.places.size > CROWD;
    for (const node of model.nodes.values()) {
      const parts = this.parts.get(node.name) ?? this.make(node);
      const radius = node.client ? CLIENT_RADIUS : layout.radius;
      this.draw(model, node, parts, radius);
      if (node.client) this.tagClient(node, parts, radius);
      else this.tagServer(node, parts, radius, crowd, layout, targets, width);
    }
    for (const [name, parts] of this.parts) {
      if (model.nodes.has(name)) continue;
      parts.group.remove();
      parts.tag.remove();
      this.parts.delete(name);
    }
  }

  draw(model, node, parts, radius) {
    const look = roleLook(node.role, model.roles);
    const plain = node.dead || node.client;
    put(parts.group, "data-health", healthOf(node));
    put(parts.group, "data-role", (!node.dead && node.role) || "");
    put(parts.group, "data-isolated", node.isolated);
    put(parts.group, "data-selected", this.selected === node.name);
    put(parts.group, "aria-label", [`${node.name}: ${nodeWords(node) || "up"}`, node.dead ? "" : node.label, markWordsOf(node)].filter(Boolean).join("; "));
    put(parts.ground, "r", radius + 11);
    put(parts.focus, "r", radius + 12);
    put(parts.cage, "r", radius + (radius < 13 ? 6 : 16));
    put(parts.body, "d", node.client ? BOX : bodyPath(node.dead ? LOOKS.noRole : look, radius));
    this.drawMarks(node, parts, radius);
    const colour = node.paused ? `color-mix(in srgb, ${look.colour} 45%, var(--cl-ground))` : look.colour;
    put(parts.body, "style", plain ? "" : `fill: ${colour}; stroke: ${colour}; stroke-width: ${look.sides ? radius * 0.2 : 0}`);
    const ink = plain || node.paused ? "" : look.ink;
    const size = node.client ? 12 : Math.min(16, radius * 0.56);
    put(parts.name, "style", `font-size: ${size}px; ${ink ? `fill: ${ink};` : ""} ${radius < 13 ? "display: none" : ""}`);
    put(parts.name, "y", node.client ? 4.2 : node.paused ? -radius * 0.06 : radius * 0.2);
    put(parts.crown, "transform", `translate(0 ${-(radius + (radius < 13 ? 10 : 14))}) scale(${Math.max(0.7, Math.min(1, radius / 24))})`);
    put(parts.sign, "d", node.dead ? "M-9 -9 L9 9 M9 -9 L-9 9" : node.paused ? "M-4 -5 L-4 5 M4 -5 L4 5" : "");
    put(parts.sign, "transform", node.dead ? `scale(${radius / 15})` : `translate(0 ${radius * (radius < 13 ? 0 : 0.52)}) scale(${Math.min(1, radius / 24)})`);
    put(parts.sign, "style", ink ? `stroke: ${ink}` : "");
  }

  // What its disk holds, and how its clock is wrong.
  drawMarks(node, parts, radius) {
    const clock = clockWords(node);
    const lost = node.disk === "lost";
    put(parts.disk, "data-state", node.disk ?? "");
    put(parts.disk, "display", node.disk && !node.client && (radius >= 13 || lost) ? "inline" : "none");
    put(parts.disk, "d", lost ? `${DISK} M-7 -7 L7 7` : DISK);
    put(parts.disk, "transform", `translate(${diskPlace(radius)})`);
    put(parts.clock, "display", clock ? "inline" : "none");
    put(parts.clock, "transform", `translate(${clockPlace(radius)})`);
    const [x, y] = clockPlace(radius);
    put(parts.skew, "x", x - 10);
    put(parts.skew, "y", y + 4);
    putText(parts.skew, clock);
  }

  elementOf(name) {
    return this.parts.get(name)?.group;
  }

  // The sides that a line would make: one side ringed, the other dotted.
  showSides(groups) {
    for (const [name, parts] of this.parts) put(parts.group, "data-side", !groups ? "" : groups[0].includes(name) ? "one" : "other");
  }

  // The nodes that are chosen for a group.
  showMarked(marked) {
    for (const [name, parts] of this.parts) {
      put(parts.group, "data-marked", marked.has(name));
      if (marked.has(name)) put(parts.group, "aria-pressed", true);
      else parts.group.removeAttribute("aria-pressed");
    }
  }

  tagClient(node, parts, radius) {
    const label = [nodeWords(node), node.dead ? "" : operationWords(node)].filter(Boolean).join(" · ");
    const head = fitName(node.name) === node.name ? "" : fit(node.name, 20);
    this.putTag(parts, head, fit(label, 20), 0, radius + 14, "middle");
  }

  tagServer(node, parts, radius, crowd, layout, targets, width) {
    const long = fitName(node.name) !== node.name;
    const hidden = radius < 13; // its name finds no room inside
    let head = crowd ? "" : nodeWords(node);
    if (long || hidden) head = [node.name, head].filter(Boolean).join(" · ");
    const label = crowd || node.dead ? "" : node.label;
    const [x, y] = targets.get(node.name);
    if (hidden) {
      const turn = Math.atan2((y - layout.middle[1]) * 1.6, x - layout.middle[0]);
      const across = Math.cos(turn), away = radius + 11;
      put(parts.head, "style", "font-size: 10px");
      if (layout.fixed) {
        const above = layout.bulge && this.rowOf(node.name, targets) === "above";
        this.putTag(parts, fit(head, 8), "", 0, above ? -radius - 9 : radius + 15, "middle");
        return;
      }
      this.putTag(parts, fit(head, 16), "", across * away, Math.sin(turn) * away * 1.15 + 3.5,
        across > 0.4 ? "start" : across < -0.4 ? "end" : "middle");
      return;
    }
    put(parts.head, "style", "");
    const away = radius + (node.isolated ? 27 : 17);
    const side = layout.bulge ? this.rowOf(node.name, targets) : layout.fixed ? "below" : crowd ? "out" : this.sideOf(node.name, layout, targets, width);
    const middle = label ? -2 : 4.5;
    const at = {
      above: [0, label ? -away - 24 : -away - 8, "middle"],
      right: [away, middle, "start"], left: [-away, middle, "end"], below: [0, away + 9, "middle"],
      out: x < width / 2 ? [-away, middle, "end"] : [away, middle, "start"],
    }[side];
    this.putTag(parts, fit(head, 34), fit(label, 34), ...at);
  }

  // In a line words stand below and above in turn.
  rowOf(name, targets) {
    return [...targets.keys()].indexOf(name) % 2 ? "above" : "below";
  }

  // The side of a node on which words hide no other node: outwards, else inwards, else below.
  sideOf(name, layout, targets, width) {
    const [x, y] = targets.get(name);
    const reach = layout.radius + 12;
    const span = (direction) => {
      const from = x + direction * (layout.radius + 17), to = from + direction * TAG_WIDTH;
      return [Math.min(from, to), Math.max(from, to)];
    };
    const fits = (direction) => span(direction)[0] >= 2 && span(direction)[1] <= width - 2;
    const free = (direction) => {
      const [left, right] = span(direction);
      return fits(direction) && [...layout.places].every(([other, [ox, oy]]) =>
        other === name || ox + reach < left || ox - reach > right || Math.abs(oy - y) > reach + 18);
    };
    const outwards = x < layout.middle[0] - 20 ? -1 : 1;
    if (free(outwards)) return outwards > 0 ? "right" : "left";
    if (free(-outwards)) return outwards > 0 ? "left" : "right";
    if (y < layout.middle[1] || !fits(outwards)) return "below";
    return outwards > 0 ? "right" : "left";
  }

  putTag(parts, head, label, x, y, anchor) {
    for (const text of [parts.head, parts.label]) {
      put(text, "text-anchor", anchor);
      put(text, "x", x);
    }
    put(parts.head, "y", y);
    put(parts.label, "y", head ? y + 16 : y);
    putText(parts.head, head);
    putText(parts.label, label);
  }

  moveTo(places) {
    for (const [name, parts] of this.parts) {
      const [x, y] = places.get(name);
      const place = `translate(${x.toFixed(2)} ${y.toFixed(2)})`;
      put(parts.group, "transform", place);
      put(parts.tag, "transform", place);
    }
  }

  // One node can be reached with Tab, the others from there with the arrows.
  rove(name) {
    for (const [other, parts] of this.parts) put(parts.group, "tabindex", other === name ? 0 : -1);
  }

  focusNext(name, step) {
    const names = [...this.parts.keys()];
    const next = names[(names.indexOf(name) + step + names.length) % names.length];
    this.parts.get(next).group.focus();
  }
}
