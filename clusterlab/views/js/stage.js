// The topology: what stands still between the nodes, the nodes, and on a canvas between them everything that moves.

const STAGE_HEIGHT = 380;
const MOVE_MS = 380;

class Stage {
  // `on`: {choose(name), key(event, name), focus(name)}, and for what hands do {live, command(content), tool(), say(words)}.
  constructor(on) {
    this.on = on;
    this.flights = new Flights(this);
    this.links = new Links(this);
    this.hands = new Hands(this, on);
    this.nodes = new Nodes({
      choose: (name) => this.hands.choose(name) || on.choose(name),
      key: (event, name) => this.hands.key(event, name) || on.key(event, name),
      focus: (name) => on.focus(name),
    });
    this.under = svg("svg", { class: "cl-svg", "aria-hidden": "true" }, this.links.element, this.nodes.tags);
    this.over = svg("svg", { class: "cl-svg" }, this.nodes.element, this.hands.spot, this.hands.cut.element);
    this.hint = html("div", { class: "cl-tip", hidden: true });
    this.corner = new Corner(on, (name) => this.choose(name), () => this.hands.undo());
    this.element = html("div", { class: "cl-stage" }, this.under, this.flights.canvas, this.over, this.corner.element, this.hint);
    this.hands.listen(this.element);
    this.places = new Map(); // where each node is now
    this.targets = new Map(); // where it will be
    this.moves = new Map(); // name -> [from, to]
    this.sides = new Map(); // name -> number of its side, during a partition
    this.ways = new Map(); // "src dst" -> the way, while nothing moves
    this.walls = []; // as points along them
    this.arrangement = null;
    this.seen = ""; // what the elements show
    this.element.addEventListener("pointermove", (e) => this.point(e));
    this.element.addEventListener("pointerleave", () => { this.pointer = null; this.hint.hidden = true; });
  }

  close() {
    this.hands.close();
  }

  get selected() {
    return this.nodes.selected;
  }

  select(name) {
    this.nodes.selected = name;
    if (name !== null) this.nodes.rove(name);
  }

  // Show the nodes in another arrangement.
  choose(name) {
    this.arrangement = name === "ring" ? null : this.corner.layouts.get(name) ?? null;
    this.seen = this.layoutKey = "";
  }

  // Bring what stands still up to date with the model.
  update(model, width, still) {
    this.model = model;
    if (this.past !== model.past) {
      this.past = model.past;
      this.corner.take(model.past);
      this.choose(this.corner.chosen);
    }
    const seen = `${model.version} ${width} ${this.selected}`;
    if (seen === this.seen) return;
    this.seen = seen;
    const key = JSON.stringify([width, model.servers, model.clients, model.groups, this.corner.chosen]);
    if (key !== this.layoutKey) this.place(model, width, still || this.width !== width);
    this.layoutKey = key;
    this.width = width;
    this.nodes.update(model, this.layout, this.targets, width);
    const wires = JSON.stringify([key, [...model.links], [...model.nodes.values()].map((n) => n.isolated)]);
    this.rewire = this.rewire || wires !== this.wires;
    this.wires = wires;
  }

  place(model, width, still) {
    this.layout = layOut(model.servers, model.groups, width, STAGE_HEIGHT, this.arrangement);
    this.targets = new Map([...this.layout.places, ...clientPlaces(model.clients, width, STAGE_HEIGHT)]);
    this.moves.clear();
    for (const [name, to] of this.targets) {
      const from = this.places.get(name);
      if (from && !still) this.moves.set(name, [from, to]);
      else this.places.set(name, to);
    }
    this.movedAt = performance.now();
    this.ways.clear();
    for (const part of [this.under, this.over]) put(part, "viewBox", `0 0 ${width} ${STAGE_HEIGHT}`);
    this.sides.clear();
    model.groups.forEach((group, i) => group.forEach((name) => this.sides.set(name, i)));
    model.whereLost = (m) => this.atWall(m);
    this.links.drawPlan(this.layout);
    this.walls = this.layout.walls.map((wall) => wall.points);
  }

  // The way that a message takes from one node to another, or null if one of them is not there.
  wayOf(src, dst) {
    const key = `${src}\u0000${dst}`;
    let way = this.ways.get(key);
    if (way) return way;
    const a = this.places.get(src), b = this.places.get(dst);
    if (!a || !b) return null;
    way = wayBetween(a, b, this.reach(src), this.reach(dst), this.layout.bulge);
    this.ways.set(key, way);
    return way;
  }

  reach(name) {
    return this.model.nodes.get(name)?.client ? 20 : this.layout.radius + 10;
  }

  // The part of its way at which a message meets a wall, or null.
  atWall(m) {
    const a = this.targets.get(m.src), b = this.targets.get(m.dst);
    if (!a || !b || !this.walls.length) return null;
    const met = crossing(wayBetween(a, b, this.reach(m.src), this.reach(m.dst), this.layout.bulge), this.walls);
    return met === null ? null : Math.max(0.05, Math.min(0.95, met));
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

  // One frame: `now` is the moment of cluster time that is shown, `dt` the real ms since the last frame.
  draw(model, now, dt, theme, still) {
    const moving = this.moveNodes(still);
    if (moving) this.ways.clear();
    if (moving || this.rewire) this.links.draw(model);
    this.rewire = false;
    this.flights.draw(model, now, dt, theme, still);
    put(this.element, "data-in-hand", this.on.live ? this.on.tool() : "");
    const lit = this.hands.update();
    if (lit && document.activeElement === this.hands.spot) showTip(this.hint, messageWords(lit.m), lit.x, lit.y, this.width, STAGE_HEIGHT);
    else if (this.pointer) this.showTip(model, now);
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

  arrived(m, rate) {
    this.flights.arrived(m, rate);
  }

  lost(model, m) {
    this.flights.lost(model, m);
  }

  point(event) {
    const box = this.element.getBoundingClientRect();
    const over = event.target.closest?.(".cl-node");
    const off = Boolean(event.target.closest?.(".cl-menu, .cl-corner"));
    this.pointer = off ? null : { x: event.clientX - box.left, y: event.clientY - box.top, node: over?.getAttribute("data-node") ?? null };
    if (off) this.hint.hidden = true;
  }

  // What is under the pointer, in words.
  showTip(model, now) {
    const { x, y, node: name } = this.pointer;
    const node = name === null ? null : model.nodes.get(name);
    const message = node || this.hands.busy ? null : this.flights.nearest(x, y, GRAB_REACH);
    const text = this.hands.cut.active ? "" : node ? tipOf(node, now) : message ? messageWords(message.m) : "";
    showTip(this.hint, text, x, y, this.width, STAGE_HEIGHT);
  }
}

// The corner of the picture: which layout it has, and how to take back what was done by hand.
class Corner {
  constructor(on, choose, undo) {
    this.layouts = new Map();
    this.select = html("select", {
      class: "cl-speed cl-layout", "data-do": "layout", "aria-label": "layout", title: "Where the nodes stand",
      onchange: () => choose(this.select.value),
    });
    this.undo = html("button", {
      type: "button", class: "cl-button cl-small", "data-do": "undo", hidden: !on.live, text: "Undo",
      title: "Take back what was done last by hand (Ctrl+Z)", onclick: undo,
    });
    this.element = html("div", { class: "cl-corner" }, this.undo, this.select);
  }

  get chosen() {
    return this.select.value || "ring";
  }

  take(past) {
    this.layouts = new Map((past.layouts ?? []).map((layout) => [layout.name, layout]));
    const first = past.layout ?? "ring";
    this.select.replaceChildren(...["ring", ...this.layouts.keys()].map((name) => html("option", { value: name, text: name, selected: name === first })));
    this.select.value = first;
    this.select.hidden = !this.layouts.size;
  }
}

function tipOf(node, now) {
  const lines = [`${node.name}  ${nodeWords(node)}`.trim()];
  if (node.dead) return [...lines, markWordsOf(node)].filter(Boolean).join("\n");
  if (node.label) lines.push(node.label);
  if (node.client) lines.push(operationWords(node));
  lines.push(markWordsOf(node));
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
