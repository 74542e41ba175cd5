// Everything that moves, on one canvas: messages, where they were lost, the timers of nodes.
// A message's shape tells its type; what became of it is told by shape as well:
// a second copy has a shadow, a late one a ring, a held one bars beside it, a lost one is hollow and ends in a cross.

const CROSS_MS = 900;
const GLOW_MS = 260;
const SHORT_MS = 130; // a flight of less real time is hardly seen: the way it took glows for a moment
const FLASH_MS = 320; // a disk that is written to
const MESSAGE_SIZE = 5.5;
const TAIL = 0.22;
const MANY = 600; // among so many messages tails would only hide them, and shapes are stamped
const STAMP = 18; // px, with room for the shape's edge
const DOOR = 8; // so many of the messages that wait at a node are drawn, the others counted
const DISK = "M-5 -4.5 A5 2 0 0 1 5 -4.5 V4.5 A5 2 0 0 1 -5 4.5 Z M-5 -4.5 A5 2 0 0 0 5 -4.5";
const isHeld = (m) => m.held !== null && m.held !== undefined;

class Flights {
  constructor(stage) {
    this.stage = stage;
    this.canvas = html("canvas", { class: "cl-canvas", "aria-hidden": "true" });
    this.crosses = [];
    this.glows = [];
    this.drawn = []; // {m, part, x, y} of this frame
    this.saves = new Map(); // name -> [the save that was seen last, when]
    this.time = 0; // real ms in which the picture moved
    this.diskPath = new Path2D(DISK);
    this.stamps = new Map(); // look and theme -> the shape as a picture
  }

  // One frame: `now` is the moment of cluster time that is shown, `dt` the real ms since the last frame.
  draw(model, now, dt, theme, still) {
    this.time += dt;
    const c = fitCanvas(this.canvas, this.stage.width, STAGE_HEIGHT);
    c.clearRect(0, 0, this.stage.width, STAGE_HEIGHT);
    if (!still && dt) this.drawSaves(c, model, theme);
    if (!still) this.drawGlows(c, theme);
    this.drawTimers(c, model, now, theme, () => new Path2D());
    this.drawMessages(c, model, now, theme, still, () => new Path2D(), this.isCrowded(model));
    this.drawCrosses(c, theme);
  }

  isCrowded(model) {
    return model.flying.size + model.falling.length >= MANY;
  }

  // What belongs to the moment alone, on any canvas that takes such paths.
  drawOn(c, model, now, theme, still, path) {
    this.drawTimers(c, model, now, theme, path);
    this.drawMessages(c, model, now, theme, still, path, false);
  }

  // How far a message is on its way; a wall stops it, a hand may hold it.
  partOf(m, model, now) {
    if (isHeld(m)) return m.held;
    let part = (now - m.t0) / m.duration;
    if (m.rest) part = m.rest.part + ((1 - m.rest.part) * (now - m.rest.at)) / Math.max(m.rest.due - m.rest.at, 0.01);
    part = Math.max(0, Math.min(m.stop, part));
    return m.end === null ? Math.min(part, this.stage.limitOf(m, model, part)) : part;
  }

  drawMessages(c, model, now, theme, still, path, stamping) {
    const byType = new Map();
    const waiting = new Map();
    const rings = path(), bars = path();
    this.drawn = [];
    const few = !this.isCrowded(model);
    const each = (m) => {
      if (now < m.t0) return;
      if (model.nodes.get(m.dst)?.paused && now > m.t0 + m.duration) {
        const count = (waiting.get(m.dst) ?? 0) + 1;
        waiting.set(m.dst, count);
        if (count > DOOR) return;
      }
      const way = this.stage.wayOf(m.src, m.dst);
      if (!way) return;
      const part = this.partOf(m, model, now);
      const [x, y] = pointOn(way, still ? 0.5 : part);
      this.drawn.push({ m, part, x, y });
      let group = byType.get(m.type);
      if (!group) byType.set(m.type, (group = { shapes: path(), hollow: path(), shadows: path(), tails: path(), stamped: [] }));
      const look = messageLook(m.type);
      if (m.copy) addShape(group.shadows, look, x + 4, y - 4, MESSAGE_SIZE);
      if (m.end && m.end !== "deliver") addShape(group.hollow, look, x, y, MESSAGE_SIZE);
      else if (stamping) group.stamped.push(x, y);
      else addShape(group.shapes, look, x, y, MESSAGE_SIZE);
      if (still) addStretch(group.tails, way, 0.5, 1);
      else if (part > 0 && few) addStretch(group.tails, way, Math.max(0, part - TAIL), part);
      if (m.late) {
        rings.moveTo(x + 10, y);
        rings.arc(x, y, 10, 0, 7);
      }
      if (isHeld(m)) {
        bars.rect(x - 12, y - 8, 3, 16);
        bars.rect(x + 9, y - 8, 3, 16);
      }
    };
    for (const m of model.flying.values()) each(m);
    for (const m of model.falling) each(m);
    c.lineJoin = "round";
    for (const [type, group] of byType) {
      this.paint(c, onGround(messageLook(type).colour, theme), group, theme);
      if (group.stamped.length) this.stampAll(c, messageLook(type), group.stamped, theme);
    }
    c.strokeStyle = c.fillStyle = theme.ink;
    c.lineWidth = 1.5;
    c.setLineDash([3, 3]);
    c.stroke(rings);
    c.setLineDash([]);
    c.fill(bars);
    this.drawWaiting(c, waiting, theme);
  }

  // All messages of one type: few strokes draw many.
  paint(c, colour, { shapes, hollow, shadows, tails }, theme) {
    c.strokeStyle = colour;
    c.globalAlpha = 0.4;
    c.lineWidth = 2;
    c.stroke(tails);
    c.globalAlpha = 1;
    c.fillStyle = theme.ground;
    c.lineWidth = 1.5;
    c.fill(shadows);
    c.stroke(shadows);
    c.lineWidth = 2.5;
    c.strokeStyle = theme.ground;
    c.stroke(shapes);
    c.fillStyle = colour;
    c.fill(shapes);
    c.fillStyle = theme.ground;
    c.fill(hollow);
    c.lineWidth = 1.75;
    c.strokeStyle = colour;
    c.stroke(hollow);
  }

  // A thousand shapes as copies of one picture: filling their paths would take most of a frame.
  stampAll(c, look, places, theme) {
    const { ratio, picture } = this.stampOf(look, theme);
    for (let i = 0; i < places.length; i += 2) {
      // On whole pixels of the screen, where nothing has to be blended anew.
      const x = Math.round((places[i] - STAMP / 2) * ratio) / ratio, y = Math.round((places[i + 1] - STAMP / 2) * ratio) / ratio;
      c.drawImage(picture, x, y, STAMP, STAMP);
    }
  }

  stampOf(look, theme) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2), colour = onGround(look.colour, theme);
    const key = [look.shape, colour, theme.key, ratio].join(" ");
    let stamp = this.stamps.get(key);
    if (!stamp) {
      const canvas = new OffscreenCanvas(Math.round(STAMP * ratio), Math.round(STAMP * ratio));
      const c = canvas.getContext("2d");
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      const shapes = new Path2D(), none = new Path2D();
      addShape(shapes, look, STAMP / 2, STAMP / 2, MESSAGE_SIZE);
      c.lineJoin = "round";
      this.paint(c, colour, { shapes, hollow: none, shadows: none, tails: none }, theme);
      this.stamps.set(key, (stamp = { ratio, picture: canvas.transferToImageBitmap() }));
    }
    return stamp;
  }

  // The message nearest to a point, among those within `reach`.
  nearest(x, y, reach) {
    let found = null, nearest = reach;
    for (const one of this.drawn) {
      const distance = Math.hypot(one.x - x, one.y - y);
      if (distance < nearest) [nearest, found] = [distance, one];
    }
    return found;
  }

  find(seq) {
    return this.drawn.find(({ m }) => m.seq === seq) ?? null;
  }

  // The messages on the screen, by the time of their sending.
  list() {
    return this.drawn.map(({ m }) => m).filter((m) => m.end === null).sort((a, b) => a.seq - b.seq);
  }

  // How many messages wait for a paused node.
  drawWaiting(c, waiting, theme) {
    c.font = `11px ${theme.font}`;
    c.textAlign = "center";
    for (const [name, count] of waiting) {
      const [x, y] = this.stage.places.get(name);
      const below = y + this.stage.layout.radius + 25;
      c.lineWidth = 4;
      c.strokeStyle = theme.ground;
      c.strokeText(`${count} waiting`, x, below);
      c.fillStyle = theme.muted;
      c.fillText(`${count} waiting`, x, below);
    }
  }

  // A message has arrived; `rate` is ms of cluster time per ms of real time.
  arrived(m, rate) {
    if (rate > 0 && (m.t1 - m.t0) / rate < SHORT_MS) this.glows.push({ m, born: this.time });
    if (this.glows.length > 600) this.glows.shift();
  }

  // Another moment is shown: what fades belongs to the one before.
  calm() {
    this.crosses = [];
    this.glows = [];
  }

  // The ways of messages too quick to be seen, fading.
  drawGlows(c, theme) {
    if (!this.glows.length) return;
    this.glows = this.glows.filter((glow) => this.time - glow.born < GLOW_MS);
    const paths = new Map(); // by type and age, so that few strokes draw many
    for (const { m, born } of this.glows) {
      const way = this.stage.wayOf(m.src, m.dst);
      if (!way) continue;
      const age = Math.floor((4 * (this.time - born)) / GLOW_MS);
      const key = m.type * 4 + age;
      if (!paths.has(key)) paths.set(key, new Path2D());
      addStretch(paths.get(key), way, 0, 1);
    }
    c.lineWidth = 2;
    for (const [key, path] of paths) {
      c.globalAlpha = 0.45 * (1 - (key % 4) / 4);
      c.strokeStyle = onGround(messageLook(Math.floor(key / 4)).colour, theme);
      c.stroke(path);
    }
    c.globalAlpha = 1;
  }

  // The longest pending timer of each node: an arc that shrinks, clockwise from the top.
  drawTimers(c, model, now, theme, path) {
    const track = path(), arcs = path();
    const small = this.stage.layout.radius < 13;
    const radius = this.stage.layout.radius + (small ? 3 : 6.5);
    for (const node of model.nodes.values()) {
      const timer = node.client || node.dead ? null : model.longestTimer(node);
      if (!timer) continue;
      const [x, y] = this.stage.places.get(node.name);
      const left = Math.max(0, Math.min(1, (timer.from + timer.after - now) / Math.max(timer.after, 1e-9)));
      track.moveTo(x + radius, y);
      track.arc(x, y, radius, 0, 7);
      if (left <= 0) continue;
      arcs.moveTo(x, y - radius);
      arcs.arc(x, y, radius, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * left);
    }
    c.lineCap = "butt";
    c.lineWidth = small ? 1.75 : 3.5;
    c.strokeStyle = theme.line;
    c.stroke(track);
    c.strokeStyle = theme.muted;
    c.stroke(arcs);
  }

  // A disk lights up while it is written to.
  drawSaves(c, model, theme) {
    if (this.stage.layout.radius < 13) return;
    for (const node of model.nodes.values()) {
      if (node.savedAt === null || node.savedAt === undefined || node.client) continue;
      const seen = this.saves.get(node.name);
      if (seen?.[0] !== node.savedAt) this.saves.set(node.name, [node.savedAt, this.time]);
      const age = (this.time - this.saves.get(node.name)[1]) / FLASH_MS;
      if (age >= 1) continue;
      const [x, y] = this.stage.places.get(node.name), [dx, dy] = diskPlace(this.stage.layout.radius);
      c.save();
      c.translate(x + dx, y + dy);
      c.globalAlpha = 1 - age;
      c.lineWidth = 7;
      c.strokeStyle = theme.good;
      c.stroke(this.diskPath);
      c.restore();
    }
  }

  // A cross where a message was lost.
  lost(model, m) {
    const way = this.stage.wayOf(m.src, m.dst);
    if (way) {
      const [x, y] = pointOn(way, m.stop);
      this.crosses.push({ x, y, born: this.time });
    }
    if (this.crosses.length > 300) this.crosses.shift();
  }

  drawCrosses(c, theme) {
    if (!this.crosses.length) return;
    this.crosses = this.crosses.filter((cross) => this.time - cross.born < CROSS_MS);
    const paths = new Map(); // by age
    for (const { x, y, born } of this.crosses) {
      const age = Math.floor((6 * (this.time - born)) / CROSS_MS);
      if (!paths.has(age)) paths.set(age, new Path2D());
      addCross(paths.get(age), x, y, 5.5);
    }
    c.lineCap = "round";
    for (const [age, path] of paths) {
      c.globalAlpha = Math.min(1, 2 * (1 - age / 6));
      c.lineWidth = 5.5;
      c.strokeStyle = theme.ground;
      c.stroke(path);
      c.lineWidth = 2.75;
      c.strokeStyle = theme.bad;
      c.stroke(path);
    }
    c.globalAlpha = 1;
  }
}

function messageWords(m) {
  const marks = [m.copy ? "second copy" : "", m.late ? "late" : "", isHeld(m) ? "held" : ""].filter(Boolean);
  const end = m.end === "deliver" ? `\ntook ${msText(m.t1 - m.t0)}` : m.end ? `\n${LOSSES[m.end] ?? m.end}` : "";
  return `${m.src} → ${m.dst}${marks.length ? `  (${marks.join(", ")})` : ""}\n${m.text}${end}`;
}
