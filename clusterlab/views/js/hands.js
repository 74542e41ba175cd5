// The pointer and the keys on the topology: menus, the line that cuts, nodes chosen for a group, messages taken hold of.

const LONG_PRESS_MS = 500;
const GRAB_REACH = 13; // px

class Hands {
  constructor(stage, on) {
    this.stage = stage;
    this.on = on; // {live, command(content), tool(), say(words)}
    this.cut = new CutLine();
    this.linkFrom = null; // the node from which a link is being chosen
    this.marked = new Set(); // nodes chosen for a group
    this.message = null; // seq of the message in the spotlight
    this.spot = svg("g", {
      class: "cl-spot", tabindex: "0", role: "button", "aria-haspopup": "menu", "aria-label": "messages on their way: arrow keys choose one",
      onkeydown: (event) => this.spotKey(event), onfocus: () => this.nextMessage(0), onblur: () => { this.message = null; },
    }, svg("circle", { r: 12 }));
  }

  get busy() {
    return this.cut.active || this.linkFrom !== null;
  }

  listen(element) {
    this.menu = new Menu(element);
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", () => this.cancel());
    element.addEventListener("contextmenu", (event) => this.context(event));
    element.addEventListener("click", (event) => this.click(event));
    element.addEventListener("keydown", (event) => this.anyKey(event), true);
  }

  close() {
    clearTimeout(this.pressing);
    this.menu.close();
  }

  command(content) {
    this.on.command(content);
  }

  say(words) {
    this.on.say(words);
  }

  // --- the pointer ---

  at(event) {
    const box = this.stage.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  onControl(event) {
    return Boolean(event.target.closest?.(".cl-menu, .cl-corner"));
  }

  down(event) {
    if (!this.on.live || this.onControl(event)) return;
    if (event.pointerType === "touch") {
      this.pressed = this.at(event);
      this.pressing = setTimeout(() => this.openAt(this.pressed, event.target), LONG_PRESS_MS);
    }
    if (event.button !== 0 || this.on.tool() !== "cut") return;
    this.cut.begin(this.at(event));
    this.stage.element.setPointerCapture?.(event.pointerId);
    event.preventDefault();
  }

  move(event) {
    const at = this.at(event);
    if (this.pressed && Math.hypot(at[0] - this.pressed[0], at[1] - this.pressed[1]) > 8) clearTimeout(this.pressing);
    if (!this.cut.active) return;
    const groups = this.cut.move(at, this.stage.model, this.stage.places, this.stage.width);
    this.stage.nodes.showSides(groups);
  }

  up(event) {
    clearTimeout(this.pressing);
    this.pressed = null;
    if (!this.cut.active) return;
    const groups = this.cut.end();
    this.stage.element.releasePointerCapture?.(event.pointerId);
    this.stage.nodes.showSides(null);
    if (groups) this.partition(groups);
  }

  cancel() {
    clearTimeout(this.pressing);
    this.pressed = null;
    this.cut.end();
    this.stage.nodes.showSides(null);
  }

  context(event) {
    if (!this.on.live || this.onControl(event)) return;
    if (this.openAt(this.at(event), event.target)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  // The menu of what is there: a node, else a message, else a link. Returns whether there was anything.
  openAt(at, target) {
    const { model } = this.stage;
    const node = model.nodes.get(target.closest?.(".cl-node")?.getAttribute("data-node"));
    const message = node ? null : this.stage.flights.nearest(...at, GRAB_REACH)?.m;
    const link = node || message ? null : this.stage.links.at(model, ...at);
    if (node) this.openNode(node, at);
    else if (message) this.openMessage(message, at);
    else if (link) this.openLink(...link, at);
    return Boolean(node || message || link);
  }

  // A plain click on a message takes hold of it, or lets it go.
  click(event) {
    if (!this.on.live || this.on.tool() === "cut" || this.onControl(event) || event.target.closest?.(".cl-node, .cl-spot")) return;
    const m = this.stage.flights.nearest(...this.at(event), GRAB_REACH)?.m;
    if (!m || m.end !== null) return;
    this.command({ do: isHeld(m) ? "release" : "hold", message: m.seq });
  }

  // A node was clicked; returns whether that was meant for here.
  choose(name) {
    if (this.linkFrom === null) return this.on.live && this.on.tool() === "cut";
    const from = this.linkFrom;
    this.endLink();
    if (from !== name) this.openLink(from, name, this.stage.places.get(name));
    return true;
  }

  // --- menus ---

  openNode(node, at) {
    this.menu.open(at ?? this.beside(node.name), node.name, nodeActs(node, this), this.stage.nodes.elementOf(node.name));
  }

  openLink(src, dst, at) {
    this.menu.open(at, `${src} ↔ ${dst}`, linkActs(src, dst, this.stage.model, this), this.stage.nodes.elementOf(src));
  }

  openMessage(m, at) {
    this.menu.open(at, messageWords(m).split("\n").slice(0, 2).join(" "), messageActs(m, this), this.spot);
  }

  beside(name) {
    const [x, y] = this.stage.places.get(name);
    return [x + this.stage.layout.radius + 8, y - 12];
  }

  beginLink(name) {
    this.linkFrom = name;
    this.stage.element.classList.add("cl-linking");
    this.stage.nodes.elementOf(name)?.focus();
    this.say(`Link from ${name}: choose the other node, or press Escape.`);
  }

  endLink() {
    this.linkFrom = null;
    this.stage.element.classList.remove("cl-linking");
  }

  // --- keys ---

  // What goes before all other keys of the picture.
  anyKey(event) {
    if (!this.on.live || this.menu.element.contains(event.target)) return;
    const undo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (undo) this.undo();
    else if (event.key === "Escape" && (this.busy || this.marked.size)) this.escape();
    else if (event.key === "P" && this.marked.size) this.cutOff();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  undo() {
    this.command({ do: "undo" });
  }

  escape() {
    this.cancel();
    this.endLink();
    this.marked.clear();
    this.stage.nodes.showMarked(this.marked);
    this.say("Nothing is chosen.");
  }

  // A key on a node; returns whether that was meant for here.
  key(event, name) {
    if (!this.on.live || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "Enter" && this.linkFrom !== null) this.choose(name);
    else if (event.key === "Enter") this.openNode(this.stage.model.nodes.get(name));
    else if (event.key === " ") this.mark(name);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  mark(name) {
    if (!this.marked.delete(name)) this.marked.add(name);
    this.stage.nodes.showMarked(this.marked);
    this.say(this.marked.size ? `${[...this.marked].join(", ")}: Shift+P cuts them off from the others.` : "No node is chosen.");
  }

  // A partition between the nodes that are chosen and all others.
  cutOff() {
    const servers = this.stage.model.servers.filter((name) => !this.marked.has(name));
    const groups = [[...this.marked], servers];
    this.marked.clear();
    this.stage.nodes.showMarked(this.marked);
    if (servers.length) this.partition(groups);
    else this.say("All nodes are chosen: leave some out, and they are cut off from the others.");
  }

  partition(groups) {
    this.command({ do: "partition", groups });
  }

  // --- the spotlight on one message ---

  nextMessage(step) {
    const messages = this.stage.flights.list();
    const at = messages.findIndex((m) => m.seq === this.message);
    const next = messages.length ? messages[(Math.max(at, 0) + step + messages.length) % messages.length] : null;
    this.message = next?.seq ?? null;
    put(this.spot, "aria-label", next ? `${messageWords(next).replace("\n", ": ")}, ${messages.indexOf(next) + 1} of ${messages.length} on their way` : "no message is on its way");
  }

  spotKey(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const entry = this.stage.flights.find(this.message);
    if (step) this.nextMessage(step);
    else if ((event.key === "Enter" || event.key === " ") && entry && this.on.live) this.openMessage(entry.m, [entry.x + 12, entry.y]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Each frame: the spotlight follows its message, or goes to another when that is gone.
  update() {
    if (this.message !== null && !this.stage.flights.find(this.message)) this.nextMessage(0);
    const entry = this.stage.flights.find(this.message);
    put(this.spot, "display", entry || document.activeElement !== this.spot ? "inline" : "none");
    if (entry) put(this.spot, "transform", `translate(${entry.x.toFixed(1)} ${entry.y.toFixed(1)})`);
    else put(this.spot, "transform", "translate(-50 -50)");
    return entry;
  }
}
