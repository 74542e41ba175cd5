// The topology: walls and links, the nodes, and on a canvas between them everything that moves.

const STAGE_HEIGHT = 380;
const MOVE_MS = 380;
const CROSS_MS = 900;
const GLOW_MS = 260;
const SHORT_MS = 130; // a flight of less real time is hardly seen: the way it took glows for a moment
const MESSAGE_SIZE = 5.5;
const DOOR = 8; // so many of the messages that wait at a node are drawn, the others counted

class Stage {
  constructor(on) {
    this.nodes = new Nodes(on);
    this.links = svg("g", { class: "cl-links" });
    this.wallLayer = svg("g", { class: "cl-walls" });
    this.under = svg("svg", { class: "cl-svg", "aria-hidden": "true" }, this.links, this.wallLayer, this.nodes.tags);
    this.canvas = html("canvas", { class: "cl-canvas", "aria-hidden": "true" });
    this.over = svg("svg", { class: "cl-svg" }, this.nodes.element);
    this.hint = html("div", { class: "cl-tip", hidden: true });
    this.element = html("div", { class: "cl-stage" }, this.under, this.canvas, this.over, this.hint);
    this.places = new Map(); // where each node is now
    this.targets = new Map(); // where it will be
    this.moves = new Map(); // name -> [from, to]
    this.sides = new Map(); // name -> number of its side, during a partition
    this.walls = []; // as points along them
    this.crosses = [];
    this.glows = [];
    this.drawn = [];
    this.seen = ""; // what the elements show
    this.time = 0; // real ms in which the picture moved
    this.element.addEventListener("pointermove", (e) => this.point(e));
    this.element.addEventListener("pointerleave", () => { this.pointer = null; this.hint.hidden = true; });
  }

  get selected() {
    return this.nodes.selected;
  }

  select(name) {
    this.nodes.selected = name;
    if (name !== null) this.nodes.rove(name);
  }

  // Bring what stands still up to date with the model.
  update(model, width, still) {
    const seen = `${model.version} ${width} ${this.selected}`;
    if (seen === this.seen) return;
    this.seen = seen;
    const key = JSON.stringify([width, model.servers, model.clients, model.groups]);
    if (key !== this.layoutKey) this.place(model, width, still || this.width !== width);
    this.layoutKey = key;
    this.width = width;
    this.nodes.update(model, this.layout, this.targets, width);
    const wires = JSON.stringify([key, [...model.links], [...model.nodes.values()].map((n) => n.isolated)]);
    this.rewire = this.rewire || wires !== this.wires;
    this.wires = wires;
  }

  place(model, width, still) {
    this.layout = layOut(model.servers, model.groups, width, STAGE_HEIGHT);
    this.targets = new Map([...this.layout.places, ...clientPlaces(model.clients, width, STAGE_HEIGHT)]);
    this.moves.clear();
    for (const [name, to] of this.targets) {
      const from = this.places.get(name);
      if (from && !still) this.moves.set(name, [from, to]);
      else this.places.set(name, to);
    }
    this.movedAt = performance.now();
    for (const part of [this.under, this.over]) put(part, "viewBox", `0 0 ${width} ${STAGE_HEIGHT}`);
    this.sides.clear();
    model.groups.forEach((group, i) => group.forEach((name) => this.sides.set(name, i)));
    model.whereLost = (m) => this.atWall(m);
    this.wallLayer.replaceChildren(...this.layout.walls.map((d) => svg("g", { class: "cl-wall" },
      svg("path", { class: "cl-mortar", d }), svg("path", { class: "cl-bricks", d }))));
    this.walls = [...this.wallLayer.querySelectorAll(".cl-bricks")].map((path) => {
      const length = path.getTotalLength();
      return Array.from({ length: 33 }, (_, i) => path.getPointAtLength((length * i) / 32));
    });
  }

  // The part of its way at which a message meets a wall, or null.
  atWall(m) {
    const a = this.targets.get(m.src), b = this.targets.get(m.dst);
    if (!a || !b) return null;
    const dx = b[0] - a[0], dy = b[1] - a[1];
    const gap = (this.layout.radius + 10) / (Math.hypot(dx, dy) || 1);
    for (const wall of this.walls) {
      for (let i = 1; i < wall.length; i++) {
        const p = wall[i - 1], wx = wall[i].x - p.x, wy = wall[i].y - p.y;
        const cross = dx * wy - dy * wx || 1e-9;
        const along = ((p.x - a[0]) * wy - (p.y - a[1]) * wx) / cross;
        const up = ((p.x - a[0]) * dy - (p.y - a[1]) * dx) / cross;
        if (up < 0 || up > 1 || along <= 0 || along >= 1) continue;
        return Math.max(0.05, Math.min(0.95, (along - gap) / (1 - 2 * gap)));
      }
    }
    return null;
  }

  // How far a message can get: a new wall stops those on its way that have not passed it.
  limitOf(m, model, part) {
    if (!model.groups.length) return 1;
    if (m.seenWall !== model.groups) {
      m.seenWall = model.groups;
      const a = this.sides.get(m.src), b = this.sides.get(m.dst);
      const wall = a !== undefined && b !== undefined && a !== b ? this.atWall(m) : null;
      m.limit = wall !== null && part < wall ? wall : 1;
    }
    return m.limit;
  }

  // The mesh between the nodes, and the links with a fault.
  drawLinks(model) {
    const lines = [];
    const servers = model.servers.length <= CROWD ? model.servers : [];
    servers.forEach((a, i) => servers.slice(i + 1).forEach((b) => {
      if (this.sides.get(a) !== this.sides.get(b) || model.nodes.get(a).isolated || model.nodes.get(b).isolated) return;
      lines.push(svg("path", { class: "cl-mesh", d: `M${this.places.get(a)} L${this.places.get(b)}` }));
    }));
    for (const link of model.links.values()) {
      const [a, b] = [this.places.get(link.src), this.places.get(link.dst)];
      if (!a || !b) continue;
      const [x1, y1, x2, y2] = lane(a, b, this.reach(model, link.src), this.reach(model, link.dst));
      const [x, y] = [x1 + (x2 - x1) * STOPS.blocked, y1 + (y2 - y1) * STOPS.blocked];
      const turn = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
      lines.push(svg("g", { class: link.block ? "cl-link cl-blocked" : "cl-link", "data-src": link.src, "data-dst": link.dst },
        svg("path", { class: "cl-linkline", d: `M${x1},${y1} L${x2},${y2}` }),
        svg("path", { class: "cl-linksign", transform: `translate(${x} ${y}) rotate(${turn})`,
          d: link.block ? "M0 -9 L0 9" : "M-4 -5 L4 0 L-4 5" })));
    }
    this.links.replaceChildren(...lines);
  }

  reach(model, name) {
    return model.nodes.get(name)?.client ? 20 : this.layout.radius + 10;
  }

  // One frame: `now` is the moment of cluster time that is shown, `dt` the real ms since the last frame.
  draw(model, now, dt, theme, still) {
    this.time += dt;
    const moving = this.moveNodes(still);
    if (moving || this.rewire) this.drawLinks(model);
    this.rewire = false;
    const c = fitCanvas(this.canvas, this.width, STAGE_HEIGHT);
    c.clearRect(0, 0, this.width, STAGE_HEIGHT);
    this.drawTimers(c, model, now, theme);
    if (!still) this.drawGlows(c, model, theme);
    this.drawMessages(c, model, now, theme, still);
    this.drawCrosses(c, theme);
    if (this.pointer) this.showTip(model, now);
  }

  moveNodes(still) {
    const done = still ? 1 : Math.min(1, (performance.now() - this.movedAt) / MOVE_MS);
    const eased = 1 - (1 - done) ** 3;
    for (const [name, [from, to]] of this.moves) {
      this.places.set(name, [from[0] + (to[0] - from[0]) * eased, from[1] + (to[1] - from[1]) * eased]);
    }
    const moved = this.moves.size > 0;
    if (done === 1) this.moves.clear();
    this.nodes.moveTo(this.places);
    return moved;
  }

  // Where a message is: its part of the way, and the line from edge to edge.
  positionOf(model, m, now) {
    const a = this.places.get(m.src), b = this.places.get(m.dst);
    if (!a || !b) return null;
    const [x1, y1, x2, y2] = lane(a, b, this.reach(model, m.src), this.reach(model, m.dst));
    const way = Math.max(0, Math.min(m.stop, (now - m.t0) / m.duration));
    const part = m.end === null ? Math.min(way, this.limitOf(m, model, way)) : way;
    return { x1, y1, x2, y2, part, x: x1 + (x2 - x1) * part, y: y1 + (y2 - y1) * part };
  }

  drawMessages(c, model, now, theme, still) {
    const byType = new Map();
    const waiting = new Map();
    this.drawn = [];
    const each = (m) => {
      if (model.nodes.get(m.dst)?.paused && now > m.t0 + m.duration) {
        const count = (waiting.get(m.dst) ?? 0) + 1;
        waiting.set(m.dst, count);
        if (count > DOOR) return;
      }
      const at = this.positionOf(model, m, now);
      if (!at) return;
      if (still) Object.assign(at, { x: (at.x1 + at.x2) / 2, y: (at.y1 + at.y2) / 2 });
      this.drawn.push({ m, at });
      let group = byType.get(m.type);
      if (!group) byType.set(m.type, (group = { shapes: new Path2D(), tails: new Path2D() }));
      addShape(group.shapes, messageLook(m.type), at.x, at.y, MESSAGE_SIZE);
      const tail = still ? 0 : Math.max(0, at.part - 0.22);
      group.tails.moveTo(at.x1 + (at.x2 - at.x1) * tail, at.y1 + (at.y2 - at.y1) * tail);
      group.tails.lineTo(...(still ? [at.x2, at.y2] : [at.x, at.y]));
    };
    for (const m of model.flying.values()) each(m);
    for (const m of model.falling) each(m);
    c.lineJoin = "round";
    for (const [type, { shapes, tails }] of byType) {
      const colour = onGround(messageLook(type).colour, theme);
      c.strokeStyle = colour;
      c.globalAlpha = 0.4;
      c.lineWidth = 2;
      c.stroke(tails);
      c.globalAlpha = 1;
      c.lineWidth = 2.5;
      c.strokeStyle = theme.ground;
      c.stroke(shapes);
      c.fillStyle = colour;
      c.fill(shapes);
    }
    this.drawWaiting(c, waiting, theme);
  }

  // How many messages wait for a paused node.
  drawWaiting(c, waiting, theme) {
    c.font = `11px ${theme.font}`;
    c.textAlign = "center";
    for (const [name, count] of waiting) {
      const [x, y] = this.places.get(name);
      const below = y + this.layout.radius + 25;
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

  // The ways of messages too quick to be seen, fading.
  drawGlows(c, model, theme) {
    this.glows = this.glows.filter((glow) => this.time - glow.born < GLOW_MS);
    const paths = new Map(); // by type and age, so that few strokes draw many
    for (const { m, born } of this.glows) {
      const at = this.positionOf(model, m, m.t1);
      if (!at) continue;
      const age = Math.floor((4 * (this.time - born)) / GLOW_MS);
      const key = m.type * 4 + age;
      if (!paths.has(key)) paths.set(key, new Path2D());
      paths.get(key).moveTo(at.x1, at.y1);
      paths.get(key).lineTo(at.x2, at.y2);
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
  drawTimers(c, model, now, theme) {
    const track = new Path2D(), arcs = new Path2D();
    const small = this.layout.radius < 13;
    const radius = this.layout.radius + (small ? 3 : 6.5);
    for (const node of model.nodes.values()) {
      const timer = node.client || node.dead ? null : model.longestTimer(node);
      if (!timer) continue;
      const [x, y] = this.places.get(node.name);
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

  // A cross where a message was lost.
  lost(model, m) {
    const at = this.positionOf(model, m, m.t0 + m.duration * m.stop);
    if (at) this.crosses.push({ x: at.x, y: at.y, born: this.time });
    if (this.crosses.length > 300) this.crosses.shift();
  }

  drawCrosses(c, theme) {
    this.crosses = this.crosses.filter((cross) => this.time - cross.born < CROSS_MS);
    c.lineCap = "round";
    for (const { x, y, born } of this.crosses) {
      const path = new Path2D();
      addCross(path, x, y, 5.5);
      c.globalAlpha = Math.min(1, 2 * (1 - (this.time - born) / CROSS_MS));
      c.lineWidth = 5.5;
      c.strokeStyle = theme.ground;
      c.stroke(path);
      c.lineWidth = 2.75;
      c.strokeStyle = theme.bad;
      c.stroke(path);
    }
    c.globalAlpha = 1;
  }

  point(event) {
    const box = this.element.getBoundingClientRect();
    const over = event.target.closest?.(".cl-node");
    this.pointer = { x: event.clientX - box.left, y: event.clientY - box.top, node: over?.getAttribute("data-node") ?? null };
  }

  // What is under the pointer, in words.
  showTip(model, now) {
    const { x, y, node: name } = this.pointer;
    const node = name === null ? null : model.nodes.get(name);
    const text = node ? tipOf(node, now) : this.nearest(x, y);
    showTip(this.hint, text, x, y, this.width, STAGE_HEIGHT);
  }

  nearest(x, y) {
    let text = "", nearest = 13;
    for (const { m, at } of this.drawn) {
      const distance = Math.hypot(at.x - x, at.y - y);
      if (distance < nearest) [nearest, text] = [distance, messageWords(m)];
    }
    return text;
  }
}

function tipOf(node, now) {
  const lines = [`${node.name}  ${nodeWords(node)}`.trim()];
  if (node.dead) return lines[0];
  if (node.label) lines.push(node.label);
  if (node.client) lines.push(operationWords(node));
  for (const timer of node.timers.values()) lines.push(`${timer.name} in ${msText(Math.max(0, timer.from + timer.after - now))}`);
  return lines.filter(Boolean).join("\n");
}

// Put a small text beside the pointer, within the picture; nothing to say hides it.
function showTip(hint, text, x, y, width, height) {
  hint.hidden = !text;
  if (!text) return;
  putText(hint, text);
  hint.style.left = `${Math.max(4, Math.min(x + 14, width - hint.offsetWidth - 8))}px`;
  hint.style.top = `${Math.max(4, Math.min(y + 14, height - hint.offsetHeight - 8))}px`;
}

const WHY = {
  lost: "lost by the network", partition: "stopped by the partition", isolated: "stopped by the isolation",
  blocked: "stopped by the blocked link", dead: "came to a dead node",
};

function messageWords(m) {
  const end = m.end === "deliver" ? `\ntook ${msText(m.t1 - m.t0)}` : m.end ? `\n${WHY[m.end] ?? m.end}` : "";
  return `${m.src} → ${m.dst}${m.copy ? "  (second copy)" : ""}\n${m.text}${end}`;
}
