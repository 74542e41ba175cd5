// The space-time diagram: a lane for each node, time to the right, a slanted line for each message.
// Only what is in the window is drawn.

const GUTTER = 74;
const TOP = 26;
const AXIS = 24;
const RIGHT = 16;
const WINDOW_REAL_MS = 9000;
const PAST_COLOUR = "#0072B2", FUTURE_COLOUR = "#D55E00";

class Tape {
  constructor(on) {
    this.on = on; // {pick(message or null)}
    this.chosen = null; // {seq, before, after} of the message whose causes and consequences are shown
    this.canvas = html("canvas", {
      class: "cl-tapecanvas", role: "img", tabindex: "0",
      "aria-label": "space-time diagram: a lane for each node, a line for each message. Left and right arrow keys look back and forth, plus and minus zoom, End returns to now; the square brackets choose a message, whose causes and consequences are then shown.",
    });
    this.hint = html("div", { class: "cl-tip", hidden: true });
    this.element = html("div", { class: "cl-tape" }, this.canvas, this.hint);
    this.zoom = 1;
    this.back = null; // the time at the right edge, or null to follow
    this.widths = new Map();
    this.pointer = null;
    this.tiles = new Tiles();
    this.listen();
  }

  listen() {
    this.canvas.addEventListener("pointerdown", (e) => {
      this.grip = { x: e.clientX, right: this.right, moved: false };
      this.canvas.setPointerCapture(e.pointerId);
    });
    this.canvas.addEventListener("pointermove", (e) => {
      const box = this.canvas.getBoundingClientRect();
      this.pointer = { x: e.clientX - box.left, y: e.clientY - box.top };
      if (this.grip && (this.grip.moved || Math.abs(e.clientX - this.grip.x) > 3)) {
        this.grip.moved = true;
        this.look(this.grip.right - ((e.clientX - this.grip.x) * this.span) / this.inner);
      }
    });
    const release = () => { this.grip = null; };
    this.canvas.addEventListener("pointerup", () => {
      const clicked = this.grip && !this.grip.moved && this.pointer && this.view;
      release();
      if (clicked) this.on.pick(this.tiles.at(this.view, this.pointer.x, this.pointer.y));
    });
    this.canvas.addEventListener("pointercancel", release);
    this.canvas.addEventListener("pointerleave", () => { this.pointer = null; this.hint.hidden = true; });
    this.canvas.addEventListener("wheel", (e) => {
      // The page keeps its own scrolling: only a sideways wheel, or one with shift, moves through time.
      const by = e.shiftKey && !e.deltaX ? e.deltaY : e.deltaX;
      if (!by || Math.abs(by) < Math.abs(e.shiftKey ? 0 : e.deltaY)) return;
      e.preventDefault();
      this.look(this.right + (by * this.span) / this.inner);
    }, { passive: false });
    this.canvas.addEventListener("keydown", (e) => {
      const move = { ArrowLeft: -0.2, ArrowRight: 0.2, PageUp: -0.9, PageDown: 0.9 }[e.key];
      if (move) this.look(this.right + move * this.span);
      else if (e.key === "+" || e.key === "=") this.zoomBy(1.6);
      else if (e.key === "-") this.zoomBy(1 / 1.6);
      else if (e.key === "End") this.back = null;
      else if (e.key === "]" || e.key === "[") this.pickNext(e.key === "]" ? 1 : -1);
      else return;
      e.preventDefault();
      e.stopPropagation();
    });
  }

  zoomBy(factor) {
    this.zoom = Math.max(1 / 64, Math.min(64, this.zoom * factor));
  }

  // Let `t` be the right edge; at the present, follow again.
  look(t) {
    this.back = t >= this.now ? null : Math.max(t, Math.min(this.now, this.span * 0.25));
  }

  // From the keyboard: the message sent after the chosen one, or before it; first the newest in the window.
  pickNext(by) {
    const shown = this.view ? this.tiles.overlapping(this.view.model, this.view.left, this.view.right) : [];
    const at = shown.findIndex((m) => m.seq === this.chosen?.seq);
    const next = at < 0 ? shown[shown.length - 1] : shown[at + by];
    if (next) this.on.pick(next);
  }

  get following() {
    return this.back === null;
  }

  heightFor(lanes) {
    return TOP + AXIS + Math.max(168, Math.min(lanes * 30, 440));
  }

  // The window: some seconds of the watcher's time, but wide enough to see a message slant and short enough to see it go by.
  spanFor(model, rate) {
    const typical = model.typicalMs;
    const base = rate > 0 ? Math.max(rate * WINDOW_REAL_MS * 0.4, Math.min(rate * WINDOW_REAL_MS, typical * 45)) : typical * 45;
    if (!this.base || Math.abs(Math.log(base / this.base)) > 0.5) this.base = base;
    return this.base / this.zoom;
  }

  draw(model, now, rate, width, theme, still) {
    const lanes = [...model.servers, ...model.clients];
    const height = this.heightFor(lanes.length);
    this.element.style.height = `${height}px`;
    this.now = now;
    this.inner = width - GUTTER - RIGHT;
    this.span = this.spanFor(model, rate);
    const scale = this.inner / this.span; // px per ms
    const edge = this.back ?? (still ? Math.ceil(now / (this.span / 4)) * (this.span / 4) : now);
    this.right = Math.round(edge * scale) / scale; // on a whole pixel, so that tiles stay sharp
    const step = (height - TOP - AXIS) / Math.max(1, lanes.length);
    const view = {
      c: fitCanvas(this.canvas, width, height), model, now, theme, width, height, step, scale,
      left: this.right - this.span, right: this.right,
      x: (t) => GUTTER + ((t - this.right + this.span) * this.inner) / this.span,
      y: new Map(lanes.map((name, i) => [name, TOP + step * (i + 0.5)])),
    };
    this.view = view;
    view.c.clearRect(0, 0, width, height);
    this.drawAxis(view);
    view.c.save();
    view.c.beginPath();
    view.c.rect(GUTTER, 0, width - GUTTER - RIGHT / 2, height);
    view.c.clip();
    this.drawLanes(view);
    this.tiles.draw(view);
    this.drawChosen(view);
    this.drawMarks(view);
    view.c.restore();
    this.drawNames(view, lanes);
    if (this.pointer && !this.grip) this.showTip(view);
  }

  drawAxis({ c, theme, x, left, right, height, width }) {
    const rough = (this.span * 110) / this.inner;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    c.font = `11px ${theme.font}`;
    c.textAlign = "center";
    c.fillStyle = theme.muted;
    c.strokeStyle = theme.line;
    c.lineWidth = 1;
    c.beginPath();
    for (let t = Math.ceil(Math.max(0, left) / step) * step; t <= right; t += step) {
      const at = Math.round(x(t)) + 0.5;
      if (at < GUTTER) continue;
      c.moveTo(at, TOP - 4);
      c.lineTo(at, height - AXIS);
      if (at > GUTTER + 18 && at < width - 30) c.fillText(step >= 1 ? msText(t) : `${t.toFixed(2)} ms`, at, height - 8);
    }
    c.globalAlpha = 0.6;
    c.stroke();
    c.globalAlpha = 1;
  }

  drawLanes(view) {
    const { c, model, theme, x, y, left, right, now, step } = view;
    const thick = Math.min(5, step * 0.4);
    for (const node of model.nodes.values()) {
      const at = y.get(node.name);
      const spans = node.spans;
      for (let i = spans.length - 1; i >= 0; i--) {
        const from = spans[i].t, to = spans[i + 1]?.t ?? now;
        if (from > right) continue;
        if (to < left) break;
        this.drawSpan(c, theme, spans[i], Math.max(x(from), GUTTER - 4), Math.min(x(to), x(right)), at, thick, node, model);
      }
      for (let i = node.operations.length - 1; i >= 0; i--) {
        const o = node.operations[i];
        if ((o.t1 ?? now) < left) break;
        if (o.t0 <= right) this.drawOperation(c, theme, o, x(o.t0), x(o.t1 ?? now), at, step);
      }
    }
  }

  drawSpan(c, theme, span, from, to, at, thick, node, model) {
    c.setLineDash([]);
    c.lineCap = "butt";
    if (span.health === "dead") {
      c.strokeStyle = theme.muted;
      c.globalAlpha = 0.5;
      c.lineWidth = 1;
      c.setLineDash([2, 5]);
    } else {
      const leads = span.role === LOOKS.leaderRole;
      c.strokeStyle = node.client ? theme.line : onGround(roleLook(span.role, model.roles).colour, theme);
      c.lineWidth = node.client ? 1.5 : leads ? thick * 1.7 : thick;
      if (span.health === "paused") c.setLineDash([2, 3]);
    }
    c.beginPath();
    c.moveTo(from, at);
    c.lineTo(to, at);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  drawOperation(c, theme, o, from, to, at, step) {
    const h = Math.min(8, step * 0.5);
    const width = Math.max(2, to - from);
    c.fillStyle = c.strokeStyle = o.outcome === "ok" ? theme.good : o.outcome === "fail" ? theme.bad : theme.muted;
    c.lineWidth = 1.5;
    c.beginPath();
    c.roundRect(from, at - h / 2, width, h, Math.min(h / 2, width / 2));
    if (o.outcome === "ok") c.fill();
    else c.stroke();
    if (o.outcome === "fail") {
      c.beginPath();
      addCross(c, to, at, 4);
      c.stroke();
    }
  }

  // The chosen message, what led to it (solid) and what followed from it (dashed); all else steps back.
  drawChosen(view) {
    if (!this.chosen) return;
    const { c, model, theme, width, height } = view;
    c.globalAlpha = 0.78;
    c.fillStyle = theme.ground;
    c.fillRect(GUTTER, TOP, width - GUTTER, height - TOP - AXIS);
    c.globalAlpha = 1;
    const { seq, before, after } = this.chosen;
    const paths = { before: new Path2D(), after: new Path2D(), self: new Path2D() };
    for (const m of this.tiles.overlapping(model, view.left, view.right)) {
      const path = m.seq === seq ? paths.self : before.has(m.seq) ? paths.before : after.has(m.seq) ? paths.after : null;
      const line = path && this.tiles.lineOf(view, m);
      if (!line) continue;
      path.moveTo(line.x1, line.y1);
      path.lineTo(line.x2, line.y2);
    }
    c.lineCap = "round";
    for (const [part, colour, lineWidth, dash] of [
      ["before", PAST_COLOUR, 2, []], ["after", FUTURE_COLOUR, 2, [6, 5]], ["self", theme.ink, 4, []],
    ]) {
      c.strokeStyle = part === "self" ? colour : onGround(colour, theme);
      c.lineWidth = lineWidth;
      c.setLineDash(dash);
      c.stroke(paths[part]);
    }
    c.setLineDash([]);
  }

  drawMarks(view) {
    const { c, model, theme, x, y, left, right, height, step } = view;
    this.drawWalls(view);
    c.font = `11px ${theme.font}`;
    const next = new Map(); // lane -> x of the following mark, so that no text runs into it
    const margin = this.span * 0.4;
    for (let i = model.marks.length - 1; i >= 0; i--) {
      const mark = model.marks[i];
      if (mark.t > right) continue;
      if (mark.t < left - margin) break;
      const at = x(mark.t);
      if (mark.kind === "partition" || mark.kind === "heal") {
        next.set(null, at); // the wall tells them
        continue;
      }
      const lane = mark.node === null ? 18 : y.get(mark.node);
      if (lane === undefined) continue;
      this.drawSign(c, theme, mark.kind, at, lane, mark.quiet ? step * 0.6 : step);
      if (mark.quiet) continue;
      const room = (next.get(mark.node) ?? Infinity) - at;
      next.set(mark.node, at);
      if (step < 20 || this.textWidth(c, mark.text) + 12 > room) continue;
      c.textAlign = "left";
      c.lineJoin = "round";
      c.lineWidth = 3.5;
      c.strokeStyle = theme.ground;
      c.strokeText(mark.text, at + 5, lane - 7);
      c.fillStyle = mark.kind === "note" ? theme.muted : theme.ink;
      c.fillText(mark.text, at + 5, lane - 7);
    }
  }

  // The times of partitions: a wall along the top, from the cut to the healing.
  drawWalls({ c, model, theme, x, left, right, height, now }) {
    c.font = `11px ${theme.font}`;
    c.textAlign = "left";
    for (const wall of model.walls) {
      const to = wall.to ?? now;
      if (to < left || wall.from > right) continue;
      const x1 = Math.max(GUTTER, x(wall.from)), x2 = x(Math.min(to, right));
      c.strokeStyle = theme.muted;
      c.lineWidth = 5;
      c.setLineDash([12, 2]);
      c.beginPath();
      c.moveTo(x1, 19);
      c.lineTo(x2, 19);
      c.stroke();
      c.lineWidth = 1;
      c.setLineDash([3, 3]);
      c.beginPath();
      for (const t of [wall.from, wall.to]) {
        if (t === null || t < left || t > right) continue;
        c.moveTo(x(t), 19);
        c.lineTo(x(t), height - AXIS);
      }
      c.stroke();
      c.setLineDash([]);
      c.fillStyle = theme.ink;
      if (x2 - x1 > this.textWidth(c, wall.text)) c.fillText(wall.text, x1 + 1, 11);
    }
  }

  textWidth(c, text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      if (this.widths.size > 2000) this.widths.clear();
      this.widths.set(text, (width = c.measureText(text).width));
    }
    return width;
  }

  drawSign(c, theme, kind, x, y, step) {
    const s = kind === "kill" || kind === "error" ? Math.min(6, step * 0.35) : kind === "link" ? 3 : Math.min(5, step * 0.3);
    c.beginPath();
    c.setLineDash([]);
    c.lineCap = "round";
    c.lineWidth = 2.25;
    c.strokeStyle = theme.ink;
    c.fillStyle = theme.ground;
    if (kind === "kill" || kind === "error") {
      addCross(c, x, y, s);
      c.strokeStyle = theme.bad;
    } else if (kind === "restart") c.arc(x, y, s, 0, 7);
    else if (kind === "pause") {
      c.moveTo(x - 2, y - s);
      c.lineTo(x - 2, y + s);
      c.moveTo(x + 2.5, y - s);
      c.lineTo(x + 2.5, y + s);
    } else if (kind === "resume") {
      c.moveTo(x - s * 0.7, y - s);
      c.lineTo(x + s, y);
      c.lineTo(x - s * 0.7, y + s);
      c.closePath();
    } else if (kind === "note") {
      c.lineWidth = 1.25;
      c.moveTo(x, y - s);
      c.lineTo(x, y + s);
    } else c.rect(x - s, y - s, 2 * s, 2 * s);
    if (kind === "restart" || kind === "resume" || kind === "isolate" || kind === "skew" || kind === "link") c.fill();
    c.stroke();
  }

  drawNames({ c, theme, y, step, model, height }, lanes) {
    c.fillStyle = theme.ink;
    c.textAlign = "right";
    const every = Math.ceil(11 / step);
    lanes.forEach((name, i) => {
      if (i % every) return;
      const node = model.nodes.get(name);
      c.font = `${node.client ? 400 : 600} ${Math.min(13, Math.max(9, step * 0.8))}px ${theme.font}`;
      c.globalAlpha = node.dead ? 0.5 : 1;
      c.fillText(name.length > 8 ? `${name.slice(0, 7)}…` : name, GUTTER - 14, y.get(name) + 4);
    });
    c.globalAlpha = 1;
  }

  showTip(view) {
    const { width, height, x, y, model, step } = view;
    const p = this.pointer;
    const m = this.tiles.at(view, p.x, p.y);
    let text = m ? messageWords(m) : "";
    for (const mark of model.marks) {
      const lane = mark.node ? y.get(mark.node) : 16;
      if (lane !== undefined && Math.hypot(x(mark.t) - p.x, lane - p.y) < 8) text = `${mark.node ?? "network"}: ${mark.text} at ${msText(mark.t)}`;
    }
    if (!text) text = this.operationAt(model, x, y, p, step);
    showTip(this.hint, text, p.x, p.y, width, height);
  }

  operationAt(model, x, y, p, step) {
    for (const node of model.nodes.values()) {
      if (!node.client || Math.abs(y.get(node.name) - p.y) > Math.min(8, step / 2)) continue;
      for (const o of node.operations) {
        if (x(o.t0) - 3 > p.x || x(o.t1 ?? this.now) + 3 < p.x) continue;
        return `${node.name}: ${o.text}\n${o.outcome === null ? "not answered yet" : `${o.outcome} after ${msText(o.t1 - o.t0)}: ${o.result}`}`;
      }
    }
    return "";
  }
}
