// What the space-time diagram draws: lanes with bands for role and epoch, signs and words, and the cursor.
// All of it goes through a 2D context and view.path(), so that the same strokes make a picture on the screen and an SVG.
// Only what is in the window is looked at.

const DOTS_SHOWN = 500; // records in the window: up to so many, those without a sign get a dot
const MARKS_SHOWN = 1500; // in the window: of more only the faults
const PAST_COLOUR = "#0072B2", FUTURE_COLOUR = "#D55E00";

class TapeDrawing {
  constructor(tiles) {
    this.tiles = tiles;
    this.widths = new Map();
  }

  draw(view) {
    const { c, width, height } = view;
    c.clearRect(0, 0, width, height);
    this.drawAxis(view);
    c.save();
    c.beginPath();
    c.rect(GUTTER, 0, width - GUTTER - RIGHT / 2, height);
    c.clip();
    this.drawLanes(view);
    this.tiles.draw(view);
    this.drawDots(view);
    this.drawChosen(view);
    this.drawMarks(view);
    this.drawFinding(view);
    this.drawCursor(view);
    c.restore();
    this.drawNames(view);
  }

  drawAxis({ c, theme, x, left, right, height, width, scale }) {
    const rough = 110 / scale;
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
    const { c, history, theme, x, y, left, right, now, step } = view;
    const thick = Math.min(5, step * 0.4);
    for (const lane of history.lanes.values()) {
      const at = y.get(lane.name);
      if (!lane.client) this.drawEpochs(view, lane, at);
      each(lane.spans, left, right, now, (span, from, to) => this.drawSpan(c, theme, span, Math.max(x(from), GUTTER - 4), x(to), at, thick, lane, history));
      const { operations } = lane; // one after the other, so they are sorted by their ends as well
      let drawn = -Infinity;
      for (let i = firstWhere(operations.length, (i) => (operations[i].t1 ?? Infinity) >= left); i < operations.length && operations[i].t0 <= right; i++) {
        const end = x(operations[i].t1 ?? now);
        if (end - drawn < 3 && operations[i].outcome === "ok") continue; // within the one before
        this.drawOperation(view, operations[i], x(operations[i].t0), drawn = end, at);
      }
    }
  }

  // A tint behind the lane for as long as a node is in one epoch, alike in all lanes, and its number where there is room.
  drawEpochs({ c, history, theme, x, left, right, now, step }, lane, at) {
    const h = Math.min(step * 0.8, 34);
    c.font = `${Math.min(10, step * 0.4)}px ${theme.font}`;
    c.textAlign = "left";
    each(lane.epochs, left, right, now, ({ epoch, turn }, from, to) => {
      if (epoch === null) return;
      const x1 = Math.max(x(from), GUTTER), x2 = x(to);
      c.globalAlpha = (Number.isInteger(epoch) ? epoch : turn) % 2 ? 0.1 : 0.045;
      c.fillStyle = theme.ink;
      c.fillRect(x1, at - h / 2, Math.max(0.5, x2 - x1), h);
      c.globalAlpha = 1;
      const text = String(epoch);
      if (step < 18 || x2 - x1 < this.textWidth(c, text) + 8) return;
      c.fillStyle = theme.muted;
      c.fillText(text, x1 + 3, at + h / 2 - 2.5);
    });
  }

  drawSpan(c, theme, span, from, to, at, thick, lane, history) {
    c.setLineDash([]);
    c.lineCap = "butt";
    if (span.health === "dead") {
      c.strokeStyle = theme.muted;
      c.globalAlpha = 0.5;
      c.lineWidth = 1;
      c.setLineDash([2, 5]);
    } else {
      const leads = span.role === LOOKS.leaderRole;
      c.strokeStyle = lane.client ? theme.line : onGround(roleLook(span.role, history.roles).colour, theme);
      c.lineWidth = lane.client ? 1.5 : leads ? thick * 1.7 : thick;
      if (span.health === "paused") c.setLineDash([2, 3]);
    }
    c.beginPath();
    c.moveTo(from, at);
    c.lineTo(to, at);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  drawOperation({ c, theme, step }, o, from, to, at) {
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
    c.font = `10px ${theme.font}`;
    c.textAlign = "left";
    if (step < 24 || width < this.textWidth(c, o.text) + 6) return;
    c.fillStyle = theme.muted;
    c.fillText(o.text, from + 2, at + h / 2 + 10);
  }

  // Events that no sign and no end of a line shows: a timer that fires, and below the lane what was written to disk.
  drawDots(view) {
    const { c, theme, y, x, records, step } = view;
    if (records.length > DOTS_SHOWN) return;
    const fires = view.path(), writes = view.path();
    for (const r of records) {
      const at = y.get(r.node);
      if (at === undefined || (r.kind !== "fire" && r.kind !== "save")) continue;
      if (r.kind === "fire") {
        fires.moveTo(x(r.at_ms) + 3, at);
        fires.arc(x(r.at_ms), at, 3, 0, 7);
      } else {
        writes.moveTo(x(r.at_ms), at + step * 0.16);
        writes.lineTo(x(r.at_ms), at + step * 0.34);
      }
    }
    c.setLineDash([]);
    c.lineWidth = 1.25;
    c.fillStyle = theme.ground;
    c.strokeStyle = theme.ink;
    c.stroke(writes);
    c.fill(fires);
    c.stroke(fires);
  }

  // The chosen event, what led to it (solid, filled) and what followed from it (dashed, hollow); all else steps back.
  drawChosen(view) {
    const { c, history, theme, width, height, chosen } = view;
    if (!chosen) return;
    c.globalAlpha = 0.78;
    c.fillStyle = theme.ground;
    c.fillRect(GUTTER, TOP, width - GUTTER, height - TOP - AXIS);
    c.globalAlpha = 1;
    const lines = { before: view.path(), after: view.path(), self: view.path() };
    for (const m of this.tiles.overlapping(history, view.left, view.right)) {
      const path = m.seq === chosen.message ? lines.self : chosen.before.has(m.seq) ? lines.before : chosen.after.has(m.seq) ? lines.after : null;
      const line = path && this.tiles.lineOf(view, m);
      if (!line) continue;
      path.moveTo(line.x1, line.y1);
      path.lineTo(line.x2, line.y2);
    }
    c.lineCap = "round";
    for (const [part, colour, lineWidth, dash] of [
      ["before", PAST_COLOUR, 2, []], ["after", FUTURE_COLOUR, 2, [6, 5]], ["self", theme.ink, 3, []],
    ]) {
      c.strokeStyle = part === "self" ? colour : onGround(colour, theme);
      c.lineWidth = lineWidth;
      c.setLineDash(dash);
      c.stroke(lines[part]);
    }
    c.setLineDash([]);
    this.drawCone(view, chosen);
  }

  drawCone(view, chosen) {
    const { c, theme, records } = view;
    const dots = { past: view.path(), future: view.path() };
    for (const r of records) {
      const path = chosen.past.has(r.seq) ? dots.past : chosen.future.has(r.seq) ? dots.future : null;
      const at = path && view.placeOf(r);
      if (!at) continue;
      path.moveTo(at[0] + 2.5, at[1]);
      path.arc(...at, 2.5, 0, 7);
    }
    c.lineWidth = 1.5;
    c.fillStyle = onGround(PAST_COLOUR, theme);
    c.fill(dots.past);
    c.fillStyle = theme.ground;
    c.strokeStyle = onGround(FUTURE_COLOUR, theme);
    c.fill(dots.future);
    c.stroke(dots.future);
    const at = view.placeOf(chosen.record);
    if (!at) return;
    c.strokeStyle = theme.ink;
    c.lineWidth = 2.5;
    c.beginPath();
    c.arc(...at, 6, 0, 7);
    c.stroke();
  }

  drawMarks(view) {
    const { c, history, theme, x, y, left, right, step } = view;
    this.drawWalls(view);
    c.font = `11px ${theme.font}`;
    const next = new Map(); // lane -> x of the following mark, so that no text runs into it
    const signs = new Map();
    const margin = (right - left) * 0.4 + history.slackMs;
    const { marks } = history;
    const end = firstWhere(marks.length, (i) => marks[i].t > right + history.slackMs);
    const crowded = end - firstWhere(marks.length, (i) => marks[i].t > left) > MARKS_SHOWN;
    for (let i = end - 1; i >= 0; i--) {
      const mark = marks[i];
      if (mark.t > right || (crowded && mark.kind === "note")) continue;
      if (mark.t < left - margin) break;
      const at = x(mark.t);
      if (mark.kind === "partition" || mark.kind === "heal") continue; // the wall tells them
      const lane = mark.node === null ? 18 : y.get(mark.node);
      if (lane === undefined) continue;
      if ((signs.get(mark.node) ?? Infinity) - at < (mark.kind === "note" ? 4 : 1)) continue; // hidden by the next one
      const room = (next.get(mark.node) ?? Infinity) - at;
      signs.set(mark.node, at);
      this.drawSign(c, theme, mark.kind, at, lane, mark.quiet ? step * 0.6 : step);
      if (mark.quiet) continue;
      next.set(mark.node, at);
      if (step < 20 || room < 14 || this.textWidth(c, mark.text) + 12 > room) continue;
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
  drawWalls({ c, history, theme, x, left, right, height, now }) {
    c.font = `11px ${theme.font}`;
    c.textAlign = "left";
    for (const wall of history.walls) {
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

  // Where the promise was broken, and by whom.
  drawFinding({ c, theme, x, y, finding, height, step }) {
    if (!finding || finding.at_ms === null) return;
    const at = x(finding.at_ms);
    c.strokeStyle = theme.bad;
    c.lineWidth = 2;
    c.setLineDash([]);
    c.beginPath();
    c.moveTo(at, TOP - 6);
    c.lineTo(at, height - AXIS);
    c.stroke();
    for (const name of finding.nodes) {
      const lane = y.get(name);
      if (lane === undefined) continue;
      c.beginPath();
      c.roundRect(at - 7, lane - Math.min(9, step * 0.4), 14, Math.min(18, step * 0.8), 5);
      c.stroke();
    }
  }

  // The cursor; what comes after it is paler.
  drawCursor({ c, theme, x, right, cursor, height, width, following }) {
    if (following || cursor > right) return;
    const at = Math.max(GUTTER, Math.round(x(cursor)) + 0.5);
    c.globalAlpha = 0.5;
    c.fillStyle = theme.ground;
    c.fillRect(at, TOP - 8, width - at, height - TOP - AXIS + 8);
    c.globalAlpha = 1;
    if (x(cursor) < GUTTER) return;
    c.strokeStyle = c.fillStyle = theme.focus;
    c.lineWidth = 1.5;
    c.setLineDash([]);
    c.beginPath();
    c.moveTo(at, TOP - 8);
    c.lineTo(at, height - AXIS);
    c.stroke();
    c.beginPath();
    c.moveTo(at - 5, height - AXIS + 7);
    c.lineTo(at, height - AXIS);
    c.lineTo(at + 5, height - AXIS + 7);
    c.closePath();
    c.fill();
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

  drawNames({ c, theme, y, step, model, finding }) {
    c.textAlign = "right";
    const every = Math.ceil(11 / step);
    [...y.keys()].forEach((name, i) => {
      if (i % every) return;
      const node = model.nodes.get(name);
      const accused = finding?.nodes.includes(name);
      c.font = `${node?.client ? 400 : 600} ${Math.min(13, Math.max(9, step * 0.8))}px ${theme.font}`;
      c.globalAlpha = node?.dead ? 0.5 : 1;
      c.fillStyle = accused ? theme.bad : theme.ink;
      c.fillText(name.length > 8 ? `${name.slice(0, 7)}…` : name, GUTTER - 14, y.get(name) + 4);
    });
    c.globalAlpha = 1;
  }
}

// The stretches of a lane that meet the window, as (stretch, from, to); each lasts until the next one.
function each(list, left, right, now, draw) {
  const first = Math.max(0, firstWhere(list.length, (i) => list[i].t > left) - 1);
  for (let i = first; i < list.length && list[i].t <= right; i++) {
    const to = Math.min(list[i + 1]?.t ?? Math.max(now, list[i].t), right);
    if (to >= left) draw(list[i], list[i].t, to);
  }
}
