// What a cluster looks like at a moment: the fold of the records until then, the same as in state.py.
// Nothing here knows a protocol: roles and types of messages are names.

const FLYING_LIMIT = 4000; // messages whose end is awaited
// How far a message gets that is lost: into the wall, to the end of a pulled cable, to a dead node's door.
const STOPS = { lost: 0.5, partition: 0.5, blocked: 0.6, dead: 1 };

function newNode(name, client) {
  return {
    name, client, dead: false, paused: false, isolated: false, role: null, epoch: null, label: "",
    rate: 1, offset: 0, disk: "", savedAt: null, timers: new Map(), operation: null, last: null, changes: 0,
  };
}

function healthOf(node) {
  return node.dead ? "dead" : node.paused ? "paused" : "up";
}

class Model {
  constructor(past, shared = { version: 0, whereLost: () => null }) {
    this.past = past;
    this.shared = shared; // by all copies: what has been drawn, and where the walls stand
    this.nodes = new Map();
    this.roles = [...past.roles];
    this.types = [...past.types];
    this.groups = [];
    this.links = new Map();
    this.flying = new Map(); // seq -> message on its way
    this.falling = []; // messages that are known to be lost but have not got there yet
    this.arrived = []; // since the stage last looked
    this.typicalMs = 10;
    this.now = 0;
    for (const name of past.servers) this.node(name, false);
    for (const name of past.clients) this.node(name, true);
    this.version++;
  }

  // Of what stands still: nodes, walls, links. No two moments have the same.
  get version() { return this.shared.version; }

  set version(value) { this.shared.version = value; }

  // The stage knows where its walls stand, and so how far a message gets.
  get whereLost() { return this.shared.whereLost; }

  set whereLost(find) { this.shared.whereLost = find; }

  // The same moment once more; what one of the two learns the other does not.
  copy() {
    const copy = Object.assign(Object.create(Model.prototype), this);
    const twins = (messages) => messages.map((m) => ({ ...m }));
    copy.nodes = new Map([...this.nodes].map(([name, n]) => [name, { ...n, timers: new Map(n.timers), operation: n.operation && { ...n.operation } }]));
    copy.roles = [...this.roles];
    copy.types = [...this.types];
    copy.links = new Map(this.links);
    copy.flying = new Map(twins([...this.flying.values()]).map((m) => [m.seq, m]));
    copy.falling = twins(this.falling);
    copy.arrived = [];
    copy.version++;
    return copy;
  }

  node(name, client = this.past.serversKnown) {
    let node = this.nodes.get(name);
    if (!node) {
      node = newNode(name, client);
      this.nodes.set(name, node);
      this.version++;
    }
    return node;
  }

  get servers() {
    return [...this.nodes.values()].filter((n) => !n.client).map((n) => n.name);
  }

  get clients() {
    return [...this.nodes.values()].filter((n) => n.client).map((n) => n.name);
  }

  leader() {
    const leaders = [...this.nodes.values()].filter(
      (n) => !n.dead && !n.client && n.role === LOOKS.leaderRole);
    return leaders.sort((a, b) => (b.epoch ?? 0) - (a.epoch ?? 0))[0] ?? null;
  }

  // Apply one record. `say(key, words)`, if given, is told what a listener wants to hear.
  apply(r, say) {
    this.now = Math.max(this.now, r.at_ms);
    const change = CHANGES[r.kind];
    if (change) change(this, r, say ?? (() => {}));
  }

  // Lost messages that have got as far as they get: they leave the picture here.
  landed(now) {
    const done = this.falling.filter((m) => m.until <= now);
    if (done.length) this.falling = this.falling.filter((m) => m.until > now);
    return done;
  }

  longestTimer(node) {
    let longest = null;
    for (const timer of node.timers.values()) {
      if (!longest || timer.after > longest.after) longest = timer;
    }
    return longest;
  }
}

function forgetMemory(node) {
  node.paused = false;
  node.role = null;
  node.epoch = null;
  node.label = "";
  node.operation = null;
  node.timers.clear();
}

function onLife(model, r, say) {
  const node = model.node(r.node);
  forgetMemory(node);
  if (r.data.disk === "lose") node.disk = "lost";
  node.dead = r.kind === "kill" || r.kind === "error";
  model.version++;
  if (r.kind !== "start") say(r.node, sentenceOf(r));
}

function onFlag(flag, value) {
  return (model, r, say) => {
    const node = model.node(r.node);
    node[flag] = value;
    model.version++;
    say(r.node, sentenceOf(r));
  };
}

function onSend(model, r) {
  const d = r.data;
  let type = model.types.indexOf(d.type);
  if (type < 0) {
    type = model.types.push(d.type) - 1;
    model.version++;
  }
  if (d.delay_ms !== null) model.typicalMs += (d.delay_ms - model.typicalMs) / 50;
  const message = newMessage(r, type, model.typicalMs);
  model.node(r.node);
  model.node(d.dst);
  model.flying.set(r.seq, message);
  if (model.flying.size > FLYING_LIMIT) model.flying.delete(model.flying.keys().next().value);
}

function newMessage(r, type, typicalMs) {
  const d = r.data;
  return {
    seq: r.seq, src: r.node, dst: d.dst, type, text: d.text, t0: r.at_ms, copy: r.kind === "duplicate",
    duration: Math.max(d.delay_ms ?? typicalMs, 0.01), late: Boolean(d.reordered), t1: null, end: null, stop: 1, until: null, held: null, rest: null,
  };
}

function onEnd(model, r) {
  const message = model.flying.get(r.cause);
  if (!message) return;
  model.flying.delete(r.cause);
  endMessage(message, r, model.whereLost, model.node(message.dst).isolated);
  if (message.end === "deliver") model.arrived.push(message);
  else model.falling.push(message);
  if (model.arrived.length > FLYING_LIMIT) model.arrived.length = 0; // nobody looks
  if (model.falling.length > FLYING_LIMIT) model.falling = model.falling.filter((m) => m.until > model.now);
}

// What the end of a message says of its flight; `whereLost` tells where it meets a wall, if it is known.
function endMessage(m, r, whereLost, isolated) {
  m.t1 = r.at_ms;
  m.end = r.kind === "deliver" ? "deliver" : r.data.why;
  if (r.kind === "deliver") return;
  const part = m.held ?? (r.at_ms - m.t0) / m.duration;
  const ends = (m.end === "partition" && whereLost(m)) || STOPS[m.end] || (isolated ? 0.8 : 0.2);
  // Lost while it was sent: let it fly to where it is lost. Lost on its way: it is there now, or at a new wall.
  m.stop = part < 0.05 ? ends : Math.min(1, part, m.limit ?? 1);
  m.until = part < 0.05 ? m.t0 + m.duration * m.stop : r.at_ms;
}

function onState(model, r, say) {
  const node = model.node(r.node);
  const { role, epoch, label } = r.data;
  const changed = role !== node.role;
  node.changes += changed;
  if (!node.client && role !== null && !model.roles.includes(role)) model.roles.push(role);
  Object.assign(node, { role, epoch, label });
  model.version++;
  if (!changed || node.client || role === null) return;
  const inEpoch = epoch === null ? "" : `, epoch ${epoch}`;
  if (role === LOOKS.leaderRole) say(`role ${r.node}`, `${r.node} became ${role}${inEpoch}`);
  else if (node.changes > 1) say(`role ${r.node}`, `${r.node} is ${role}${inEpoch}`);
}

function onLink(model, r, say) {
  const d = r.data;
  const key = `${d.src}\u0000${d.dst}`;
  const words = linkWords(d);
  if (words) model.links.set(key, { ...d, block: Boolean(d.block), words });
  else model.links.delete(key);
  model.version++;
  say(`link ${key}`, sentenceOf(r));
}

// A message that was held goes on from where it is, and arrives when it would have, or now.
function goOn(m, at) {
  if (m.held === null) return;
  m.rest = { part: m.held, at, due: Math.max(at, m.t0 + m.duration) };
  m.held = null;
}

const CHANGES = {
  start: onLife, kill: onLife, restart: onLife, error: onLife,
  pause: onFlag("paused", true), resume: onFlag("paused", false), isolate: onFlag("isolated", true),
  send: onSend, duplicate: onSend, deliver: onEnd, drop: onEnd, state: onState, link: onLink,
  skew(model, r, say) {
    Object.assign(model.node(r.node), { rate: r.data.rate, offset: r.data.offset_ms });
    model.version++;
    say(r.node, sentenceOf(r));
  },
  partition(model, r, say) {
    model.groups = r.data.groups;
    model.version++;
    say("network", sentenceOf(r));
  },
  heal(model, r, say) {
    model.groups = [];
    model.links.clear();
    for (const node of model.nodes.values()) node.isolated = false;
    for (const m of model.flying.values()) goOn(m, r.at_ms);
    model.version++;
    say("network", sentenceOf(r));
  },
  save(model, r) {
    const node = model.node(r.node);
    if (node.disk !== "saved") model.version++;
    node.disk = "saved";
    node.savedAt = r.at_ms;
  },
  hold_message(model, r) {
    const m = model.flying.get(r.data.message);
    if (m) m.held = Math.max(0.04, Math.min(0.94, (r.at_ms - m.t0) / m.duration));
  },
  release_message(model, r) {
    const m = model.flying.get(r.data.message);
    if (m) goOn(m, r.at_ms);
  },
  set_timer(model, r) {
    const node = model.node(r.node);
    const after = r.data.after_ms / node.rate;
    node.timers.set(r.data.timer, { name: r.data.timer, from: r.at_ms, after });
  },
  fire: (model, r) => model.node(r.node).timers.delete(r.data.timer),
  cancel_timer: (model, r) => model.node(r.node).timers.delete(r.data.timer),
  invoke(model, r) {
    const node = model.node(r.node);
    node.operation = { t0: r.at_ms, t1: null, outcome: null, text: r.data.text, result: "" };
    model.version++;
  },
  return(model, r) {
    const node = model.node(r.node);
    if (!node.operation) return;
    Object.assign(node.operation, { t1: r.at_ms, outcome: r.data.outcome, result: r.data.text });
    node.last = node.operation;
    node.operation = null;
    model.version++;
  },
};
