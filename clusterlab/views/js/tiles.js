// The lines of the space-time diagram. A message that has ended never changes again, so its line is drawn once,
// into tiles that the diagram only moves along; those on their way are drawn in each frame.

const TILE = 256; // px
const TILES_LIMIT = 24;
const STYLES = [[], [1.5, 4], [8, 4]]; // as sent, a second copy, late
const DENSE = 700; // so many lines in the window are drawn thinner, without a mark at their end

class Tiles {
  constructor() {
    this.cache = new Map(); // number -> canvas
    this.key = "";
    this.dense = false;
  }

  // The messages that overlap a stretch of time. They are sorted by sending, but for the slack between clocks.
  overlapping(history, from, to) {
    const { messages, slackMs, open } = history;
    const first = firstWhere(messages.length, (i) => messages[i].t0 >= from - history.longestMs - slackMs);
    const found = [];
    for (let i = first; i < messages.length && messages[i].t0 <= to + slackMs; i++) {
      const m = messages[i];
      if (m.t0 <= to && m.end !== null && (m.until ?? m.t1) >= from) found.push(m);
    }
    for (const m of open.values()) if (m.t0 <= to) found.push(m);
    return found;
  }

  draw(view) {
    const { c, history, theme, x, left, right, height, scale } = view;
    this.weigh(history, left, right);
    const waiting = [...history.open.values()];
    if (!view.c.drawImage) { // an SVG has no tiles
      this.paint(view, c, 0, this.overlapping(history, left, right));
      return;
    }
    const key = [scale, height, theme.key, this.dense, [...view.y.keys()].join("\u0000")].join(" ");
    if (key !== this.key || this.history !== history) this.cache.clear();
    Object.assign(this, { key, history });
    const tileMs = TILE / scale;
    const ended = history.ended.splice(0);
    if (ended.length > 5000) this.cache.clear();
    else for (const m of ended) this.add(view, m, tileMs);
    for (let i = Math.floor(left / tileMs); i <= right / tileMs; i++) {
      let tile = this.cache.get(i);
      if (!tile) this.cache.set(i, (tile = this.make(view, i, tileMs)));
      c.drawImage(tile, x(i * tileMs), 0, TILE, height);
    }
    for (const i of this.cache.keys()) {
      if (this.cache.size <= TILES_LIMIT) break;
      if (i * tileMs > right || (i + 1) * tileMs < left) this.cache.delete(i);
    }
    this.paint(view, c, 0, waiting.filter((m) => m.t0 <= right));
  }

  weigh(history, left, right) {
    const { messages } = history;
    const before = (t) => firstWhere(messages.length, (i) => messages[i].t0 > t);
    const count = before(right) - before(left);
    // With a margin, so that it does not flicker between the two.
    if (this.dense ? count < DENSE * 0.7 : count > DENSE) this.dense = !this.dense;
  }

  make(view, i, tileMs) {
    const tile = document.createElement("canvas");
    fitCanvas(tile, TILE, view.height);
    const done = this.overlapping(view.history, i * tileMs, (i + 1) * tileMs).filter((m) => m.end !== null);
    this.paint(view, tile.getContext("2d"), view.x(i * tileMs), done);
    return tile;
  }

  add(view, m, tileMs) {
    const last = (m.until ?? m.t1) + 6 / view.scale; // the mark at its end has a width
    for (let i = Math.floor((m.t0 - 2 / view.scale) / tileMs); i <= last / tileMs; i++) {
      const tile = this.cache.get(i);
      if (tile) this.paint(view, tile.getContext("2d"), view.x(i * tileMs), [m]);
    }
  }

  // Where the line of a message ends: [time, share of the way between the lanes].
  endOf(m, now) {
    if (m.end === "deliver") return [m.t1, 1];
    if (m.end !== null) return [m.until, m.stop];
    // At the door: a paused node's mail waits there, and so does what comes later than was foreseen.
    return now < m.t0 + m.duration ? [Math.max(now, m.t0), Math.max(0, now - m.t0) / m.duration] : [m.t0 + m.duration, 0.94];
  }

  lineOf(view, m) {
    const from = view.y.get(m.src), to = view.y.get(m.dst);
    if (from === undefined || to === undefined) return null;
    const [t, share] = this.endOf(m, view.now);
    return { x1: view.x(m.t0), y1: from, x2: view.x(t), y2: from + (to - from) * share };
  }

  // Draw messages on a canvas whose left edge is at `origin` of the view.
  // A second copy is dotted, one that is late or was overtaken is dashed and ends hollow, a lost one ends in a cross.
  paint(view, c, origin, messages) {
    const lines = new Map();
    const crosses = view.path();
    for (const m of messages) {
      const line = this.lineOf(view, m);
      if (!line) continue;
      const { x1, y1, x2, y2 } = line;
      const style = m.copy ? 1 : m.late ? 2 : 0;
      const key = m.type * STYLES.length + style;
      let path = lines.get(key);
      if (!path) lines.set(key, (path = { line: view.path(), mark: view.path() }));
      path.line.moveTo(x1 - origin, y1);
      path.line.lineTo(x2 - origin, y2);
      if (m.end !== null && m.end !== "deliver") addCross(crosses, x2 - origin, y2, this.dense ? 2.5 : 3.5);
      else if (m.end !== null && !this.dense) addShape(path.mark, messageLook(m.type), x2 - origin, y2, style ? 3.2 : 2.6);
    }
    c.lineCap = "round";
    for (const [key, { line, mark }] of lines) {
      const style = key % STYLES.length;
      const colour = onGround(messageLook(Math.floor(key / STYLES.length)).colour, view.theme);
      c.strokeStyle = colour;
      c.globalAlpha = this.dense ? 0.5 : 0.8;
      c.lineWidth = this.dense ? 1 : 1.4;
      c.setLineDash(STYLES[style]);
      c.stroke(line);
      c.setLineDash([]);
      c.globalAlpha = 1;
      c.fillStyle = style ? view.theme.ground : colour;
      c.fill(mark);
      if (style) c.stroke(mark);
    }
    c.lineWidth = this.dense ? 1.5 : 2;
    c.strokeStyle = view.theme.bad;
    c.stroke(crosses);
  }

  // The message whose line passes the point, or null.
  at(view, px, py) {
    let found = null, nearest = 7;
    for (const m of this.overlapping(view.history, view.left, view.right)) {
      const line = this.lineOf(view, m);
      const away = line ? distanceToLine(px, py, line) : Infinity;
      if (away < nearest) [nearest, found] = [away, m];
    }
    return found;
  }
}

function distanceToLine(px, py, { x1, y1, x2, y2 }) {
  const dx = x2 - x1, dy = y2 - y1;
  const share = Math.max(0, Math.min(1, ((px - x1) * dx + (py - y1) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x1 + share * dx - px, y1 + share * dy - py);
}
