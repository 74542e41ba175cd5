// The space-time diagram: a lane for each node, time to the right, a slanted line for each message.
// It shows all records received so far, and the cursor among them; the window follows the cursor until one looks elsewhere.

const GUTTER = 74;
const TOP = 26;
const AXIS = 24;
const RIGHT = 16;
const WINDOW_REAL_MS = 9000;
const AHEAD = 0.3; // of the window is after the cursor, where there is something
const NEAR = 8; // px
const CROWDED = 20; // lanes; see rests
const REST_MS = 120;
const EVENTS_SHOWN = 2000; // of so many records in the window each is drawn; of more the lines say enough
const HOVERED_MAX = 20000;

class Tape {
  constructor(on) {
    this.on = on; // {choose(seq or null), goTo(ms), goToSeq(seq), from(), to(), records(from, to, most), newest(t), find(seq), beside(seq, by), words(r)}
    this.chosen = null; // the event whose causes and consequences are shown; see lightCone
    this.canvas = html("canvas", {
      class: "cl-tapecanvas", role: "img", tabindex: "0",
      "aria-label": "space-time diagram: a lane for each node, a line for each message. The arrow keys look back and forth, plus and minus zoom, zero shows the whole run; the square brackets choose an event, with shift of the same node: its causes, its consequences and what it changed are then shown. Enter moves the cursor there.",
    });
    this.hint = html("div", { class: "cl-tip", hidden: true });
    this.brush = html("div", { class: "cl-brush", hidden: true });
    this.element = html("div", { class: "cl-tape" }, this.canvas, this.brush, this.hint);
    this.zoom = 1;
    this.edge = null; // the time at the right edge, or null to follow the cursor
    this.windows = []; // that brushes have left, for the way back
    this.pointer = null;
    this.drawnAt = -Infinity;
    this.tiles = new Tiles();
    this.drawing = new TapeDrawing(this.tiles);
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (e) => {
      this.point(e);
      this.grip = { x: e.clientX, from: this.pointer.x, right: this.right, moved: false, brush: this.pointer.y > this.view?.height - AXIS || this.pointer.y < TOP - 6 };
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener("pointermove", (e) => {
      this.point(e);
      if (!this.grip || !(this.grip.moved || Math.abs(e.clientX - this.grip.x) > 3)) return;
      this.grip.moved = true;
      if (this.grip.brush) this.showBrush();
      else this.look(this.grip.right - ((e.clientX - this.grip.x) * this.span) / this.inner);
    });
    const release = () => {
      this.grip = null;
      this.brush.hidden = true;
    };
    canvas.addEventListener("pointerup", () => {
      const { grip } = this;
      release();
      if (!grip || !this.pointer || !this.view) return;
      if (grip.brush && grip.moved) this.show(...[grip.from, this.pointer.x].map((px) => this.timeAt(px)).sort((a, b) => a - b));
      else if (grip.brush) this.on.goTo(this.timeAt(this.pointer.x));
      else if (!grip.moved) this.on.choose(this.at(this.pointer.x, this.pointer.y)?.seq ?? null);
    });
    canvas.addEventListener("dblclick", () => {
      const r = this.pointer && this.view && this.at(this.pointer.x, this.pointer.y);
      if (r) this.on.goToSeq(r.seq);
    });
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.hint.hidden = true; });
    canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    canvas.addEventListener("keydown", (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey || !this.key(e)) return;
      e.preventDefault();
      e.stopPropagation();
    });
  }

  point(e) {
    const box = this.canvas.getBoundingClientRect();
    this.pointer = { x: e.clientX - box.left, y: e.clientY - box.top };
  }

  // The page keeps its own scrolling: a sideways wheel, or one with shift, moves through time; one with ctrl zooms.
  wheel(e) {
    if (e.ctrlKey) {
      e.preventDefault();
      this.zoomBy(Math.exp(-e.deltaY / 300), this.pointer?.x);
      return;
    }
    const by = e.shiftKey && !e.deltaX ? e.deltaY : e.deltaX;
    if (!by || Math.abs(by) < Math.abs(e.shiftKey ? 0 : e.deltaY)) return;
    e.preventDefault();
    this.look(this.right + (by * this.span) / this.inner);
  }

  key(e) {
    const move = { ArrowLeft: -0.2, ArrowRight: 0.2, PageUp: -0.9, PageDown: 0.9 }[e.key];
    if (move) this.look(this.right + move * this.span);
    else if (e.key === "+" || e.key === "=") this.zoomBy(1.6);
    else if (e.key === "-") this.zoomBy(1 / 1.6);
    else if (e.key === "0") this.show(this.on.from(), this.on.to());
    else if (e.key === "Escape" && this.windows.length) this.leave();
    else if (e.key === "Enter" && this.chosen) this.on.goToSeq(this.chosen.seq);
    else if ("[]{}".includes(e.key)) this.chooseNext("]}".includes(e.key) ? 1 : -1, "{}".includes(e.key));
    else return false;
    return true;
  }

  // --- the window ---

  timeAt(px) {
    return this.right - this.span + ((px - GUTTER) * this.span) / this.inner;
  }

  // Zoom so that what is at `px` stays there: the pointer, or else the cursor, or else the middle.
  zoomBy(factor, px) {
    const longest = Math.max(this.base, 1.1 * (this.on.to() - this.on.from()));
    const span = Math.max(this.base / 512, Math.min(longest, this.span / factor));
    const at = px === undefined ? null : this.timeAt(px);
    if (at !== null && !(this.following && this.live)) this.edge = at + ((this.right - at) * span) / this.span;
    else if (this.edge !== null) this.edge += (span - this.span) / 2;
    this.zoom = this.base / span;
    this.span = span;
  }

  // Let `t` be the right edge.
  look(t) {
    const { now } = this;
    this.edge = this.live && t >= now ? null : Math.max(this.on.from() + this.span * 0.25, Math.min(Math.max(this.on.to(), now), t));
  }

  // Show this stretch of time; `leave` goes back to what was shown before.
  show(from, to) {
    const span = Math.max(to - from, this.base / 512, 1e-6);
    this.windows.push({ zoom: this.zoom, edge: this.edge });
    if (this.windows.length > 20) this.windows.shift();
    this.zoom = this.base / span;
    this.edge = from + span;
  }

  leave() {
    Object.assign(this, this.windows.pop());
  }

  showBrush() {
    const [a, b] = [this.grip.from, this.pointer.x].sort((one, other) => one - other);
    this.brush.hidden = false;
    this.brush.style.left = `${Math.max(GUTTER, a)}px`;
    this.brush.style.width = `${Math.max(0, b - Math.max(GUTTER, a))}px`;
  }

  get following() {
    return this.edge === null;
  }

  heightFor(lanes) {
    return TOP + AXIS + Math.max(168, Math.min(lanes * 34, 440));
  }

  // Some seconds of the watcher's time, but wide enough to see a message slant and short enough to see it go by;
  // of a short recorded run all.
  spanFor(typical, live, rate) {
    const slant = typical * 45;
    const real = rate * WINDOW_REAL_MS;
    const base = live ? (rate > 0 ? Math.max(real * 0.4, Math.min(real, slant)) : slant) : Math.min(slant, Math.max(1.04 * (this.on.to() - this.on.from()), typical * 4));
    if (!this.base || Math.abs(Math.log(base / this.base)) > 0.5) this.base = base;
    return this.base / this.zoom;
  }

  // The right edge when it follows: the present is at the edge, another moment has some of its future beside it.
  edgeFor(cursor, live, still) {
    if (live) return still ? Math.ceil(cursor / (this.span / 4)) * (this.span / 4) : cursor;
    const from = this.on.from(), to = Math.max(this.on.to(), cursor) + 0.02 * this.span; // a little room after the last event
    const moved = still ? Math.ceil((cursor - from) / (this.span / 4)) * (this.span / 4) + from : cursor;
    return Math.max(Math.min(moved + AHEAD * this.span, to), Math.min(from + 0.98 * this.span, to));
  }

  // `shown` is {history, model, cursor, running, live, rate, finding}: `running` of a cluster that runs, `live` if it is followed.
  draw(shown, width, theme, still) {
    const { history, cursor, live } = shown;
    const lanes = history.names;
    if (this.rests(live, lanes.length)) return;
    const height = this.heightFor(lanes.length);
    this.element.style.height = `${height}px`;
    this.now = cursor;
    this.live = live;
    this.inner = Math.max(50, width - GUTTER - RIGHT);
    this.span = this.spanFor(history.typicalMs, shown.running, live ? shown.rate : 0);
    const scale = this.inner / this.span; // px per ms
    this.right = Math.round((this.edge ?? this.edgeFor(cursor, live, still)) * scale) / scale; // on a whole pixel, so that tiles stay sharp
    const view = this.view = this.viewOf(shown, width, height, theme, scale, lanes);
    view.c = fitCanvas(this.canvas, width, height);
    this.drawing.draw(view);
    if (this.pointer && !this.grip) this.showTip(view);
  }

  // Hundreds of lines between dozens of lanes move by a pixel a frame: nobody sees more of them than a few times a second.
  rests(live, lanes) {
    const now = performance.now();
    if (live && this.following && !this.pointer && this.tiles.dense && lanes > CROWDED && now - this.drawnAt < REST_MS) return true;
    this.drawnAt = now;
    return false;
  }

  viewOf(shown, width, height, theme, scale, lanes) {
    const step = (height - TOP - AXIS) / Math.max(1, lanes.length);
    const [left, right, inner, span] = [this.right - this.span, this.right, this.inner, this.span];
    const view = {
      ...shown, now: Math.max(shown.history.now, shown.cursor), theme, width, height, step, scale, left, right, chosen: this.chosen,
      following: shown.live && this.following,
      x: (t) => GUTTER + ((t - right + span) * inner) / span,
      y: new Map(lanes.map((name, i) => [name, TOP + step * (i + 0.5)])),
      path: () => new Path2D(),
      placeOf: (r) => this.placeOf(view, r),
    };
    if (view.following) view.now = Math.min(view.now, shown.cursor);
    view.records = this.on.records(left, right, EVENTS_SHOWN);
    return view;
  }

  // --- events ---

  // Where a record is in the picture, or null.
  placeOf(view, r) {
    if (r.kind === "drop") {
      const m = this.messageOf(view, r.cause);
      const line = m && this.tiles.lineOf(view, m);
      return line ? [line.x2, line.y2] : null;
    }
    const y = r.node === null ? 18 : view.y.get(r.node);
    return y === undefined ? null : [view.x(r.at_ms), y];
  }

  messageOf({ history }, seq) {
    const { messages } = history;
    const at = firstWhere(messages.length, (i) => messages[i].seq >= seq);
    return messages[at]?.seq === seq ? messages[at] : null;
  }

  // The record at a point: the nearest event, or else the sending of the message whose line passes there.
  at(px, py) {
    const { view } = this;
    let found = null, closest = NEAR;
    // A lost message ends in the picture some time after its record.
    for (const r of this.on.records(this.timeAt(px - NEAR) - view.history.longestMs, this.timeAt(px + NEAR), HOVERED_MAX)) {
      const at = this.placeOf(view, r);
      const away = at ? Math.hypot(at[0] - px, at[1] - py) : Infinity;
      // Of what a node did at one moment, the cause of it all comes first.
      if (away < closest - 0.01) [closest, found] = [away, r];
    }
    if (found && closest < NEAR - 2) return found;
    const m = this.tiles.at(view, px, py);
    return m ? this.on.find(m.seq) ?? null : found;
  }

  // From the keyboard: the event after the chosen one, or before it; first the newest in the window.
  chooseNext(by, sameNode) {
    const { chosen } = this;
    const record = chosen && this.on.find(chosen.seq);
    if (!record) {
      const newest = this.on.newest(this.right);
      if (newest) this.on.choose(newest.seq);
      return;
    }
    for (let seq = record.seq, r; (r = this.on.beside(seq, by)); seq = r.seq) {
      if (sameNode && r.node !== record.node) continue;
      this.on.choose(r.seq);
      this.bringIn(r.at_ms);
      return;
    }
  }

  // Move the window so that this moment is in it.
  bringIn(t) {
    if (t < this.right - this.span * 0.95) this.edge = t + this.span * 0.7;
    else if (t > this.right) this.edge = t + this.span * 0.3;
  }

  showTip(view) {
    const p = this.pointer;
    const r = this.at(p.x, p.y);
    let text = r ? this.on.words(r) : "";
    const m = r && begins(r) ? this.messageOf(view, r.seq) : null;
    if (m) text = messageWords(m) + (m.late ? `\nlate: ${msText(m.usual)} are usual` : "");
    if (!text) text = this.operationAt(view, p);
    showTip(this.hint, text, p.x, p.y, view.width, view.height);
  }

  operationAt({ history, x, y, step, now }, p) {
    for (const lane of history.lanes.values()) {
      if (!lane.client || Math.abs(y.get(lane.name) - p.y) > Math.min(8, step / 2)) continue;
      for (const o of lane.operations) {
        if (x(o.t0) - 3 > p.x || x(o.t1 ?? now) + 3 < p.x) continue;
        return `${lane.name}: ${o.text}\n${o.outcome === null ? "not answered yet" : `${o.outcome} after ${msText(o.t1 - o.t0)}: ${o.result}`}`;
      }
    }
    return "";
  }
}
