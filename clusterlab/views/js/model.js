// What a cluster looks like after the records so far, and what the space-time diagram shows of its past.
// The same fold as state.py. Nothing here knows a protocol: roles and types of messages are names.

const PAST_LIMIT = 30000; // messages and marks that the diagram remembers
const FLYING_LIMIT = 4000; // messages whose end is awaited
const WORDS = {
  kill: "was killed", restart: "was restarted", pause: "is paused", resume: "goes on",
  isolate: "is isolated", skew: "has a skewed clock",
};
// How far a message gets that is lost: into the wall, to the end of a pulled cable, to a dead node's door.
const STOPS = { lost: 0.5, partition: 0.5, blocked: 0.6, dead: 1 };

function newNode(name, client) {
  return {
    name, client, dead: false, paused: false, isolated: false, role: null, epoch: null, label: "",
    rate: 1, timers: new Map(), spans: [], operations: [], operation: null, seen: false,
  };
}

function healthOf(node) {
  return node.dead ? "dead" : node.paused ? "paused" : "up";
}

class Model {
  constructor(past) {
    this.past = past;
    this.whereLost = () => null; // the stage knows where its walls stand
    this.reset();
  }

  reset() {
    this.nodes = new Map();
    this.roles = [...this.past.roles];
    this.types = [...this.past.types];
    this.groups = [];
    this.links = new Map();
    this.flying = new Map(); // seq -> message on its way
    this.falling = []; // messages that are known to be lost but have not got there yet
    this.messages = []; // all of them, by the time of sending
    this.arrived = []; // since the stage last looked
    this.ended = []; // those whose line is complete, until the diagram has drawn it
    this.longestMs = 0; // that any of them took
    this.marks = []; // faults and notes
    this.noted = new Map(); // text of a note -> when it was last made
    this.walls = []; // times of partitions: {from, to, text}
    this.typicalMs = 10;
    this.now = 0;
    this.generation = (this.generation ?? 0) + 1;
    this.version = 0; // of what stands still: nodes, walls, links
    for (const name of this.past.servers) this.node(name, false);
    for (const name of this.past.clients) this.node(name, true);
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

  mark(r, text, node = r.node, quiet = false) {
    this.marks.push({ t: r.at_ms, node, kind: r.kind, text, quiet });
  }

  // A stretch of a node's lane begins: in this role and health.
  span(node, t) {
    const health = healthOf(node);
    const role = node.dead ? null : node.role;
    const last = node.spans[node.spans.length - 1];
    if (last && last.health === health && last.role === role) return;
    node.spans.push({ t, health, role });
    this.version++;
  }

  // Forget the oldest, so that a long run does not fill the browser.
  trim() {
    if (this.messages.length > PAST_LIMIT) this.messages.splice(0, PAST_LIMIT / 3);
    if (this.marks.length > PAST_LIMIT / 4) this.marks.splice(0, PAST_LIMIT / 12);
    for (const node of this.nodes.values()) {
      for (const list of [node.spans, node.operations]) {
        if (list.length > PAST_LIMIT / 8) list.splice(0, PAST_LIMIT / 24);
      }
    }
    for (const seq of this.flying.keys()) {
      if (this.flying.size <= FLYING_LIMIT) break;
      this.flying.delete(seq);
    }
  }

  // Lost messages that have got as far as they get: they leave the picture here.
  landed(now) {
    const done = this.falling.filter((m) => m.until <= now);
    if (done.length) this.falling = this.falling.filter((m) => m.until > now);
    for (const m of done) this.finish(m);
    return done;
  }

  finish(message) {
    message.done = true;
    this.longestMs = Math.max(this.longestMs, (message.until ?? message.t1) - message.t0);
    this.ended.push(message);
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
  node.dead = r.kind === "kill" || r.kind === "error";
  model.version++;
  if (r.kind !== "start") {
    const text = r.kind === "error" ? r.data.error
      : r.kind === "restart" && r.data.disk === "lose" ? "restarted without its disk" : WORDS[r.kind];
    model.mark(r, r.kind === "error" ? "error" : text.replace(/^was /, ""));
    say(r.node, r.kind === "error" ? `${r.node} died of an error: ${text}` : `${r.node} ${text}`);
  }
  model.span(node, r.at_ms);
}

function onFlag(flag, value) {
  return (model, r, say) => {
    const node = model.node(r.node);
    node[flag] = value;
    model.version++;
    model.span(node, r.at_ms);
    model.mark(r, WORDS[r.kind].replace(/^is /, ""));
    say(r.node, `${r.node} ${WORDS[r.kind]}`);
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
  const message = {
    seq: r.seq, src: r.node, dst: d.dst, type, text: d.text, t0: r.at_ms, copy: r.kind === "duplicate",
    duration: Math.max(d.delay_ms ?? model.typicalMs, 0.01), t1: null, end: null, stop: 1, until: null, done: false,
  };
  model.node(r.node);
  model.node(d.dst);
  model.flying.set(r.seq, message);
  model.messages.push(message);
}

function onEnd(model, r) {
  const message = model.flying.get(r.cause);
  if (!message) return;
  model.flying.delete(r.cause);
  message.t1 = r.at_ms;
  if (r.kind === "deliver") {
    message.end = "deliver";
    model.finish(message);
    model.arrived.push(message);
    return;
  }
  message.end = r.data.why;
  const part = (r.at_ms - message.t0) / message.duration;
  const ends = (message.end === "partition" && model.whereLost(message)) || STOPS[message.end]
    || (model.node(message.dst).isolated ? 0.8 : 0.2);
  // Lost while it was sent: let it fly to where it is lost. Lost on its way: it is there now, or at a new wall.
  message.stop = part < 0.05 ? ends : Math.min(1, part, message.limit ?? 1);
  message.until = part < 0.05 ? message.t0 + message.duration * message.stop : r.at_ms;
  model.falling.push(message);
}

function onState(model, r, say) {
  const node = model.node(r.node);
  const { role, epoch, label } = r.data;
  const changed = role !== node.role;
  if (!node.client && role !== null && !model.roles.includes(role)) model.roles.push(role);
  Object.assign(node, { role, epoch, label, seen: true });
  model.version++;
  if (!changed || node.client || role === null) return;
  model.span(node, r.at_ms);
  const inEpoch = epoch === null ? "" : `, epoch ${epoch}`;
  if (role === LOOKS.leaderRole) say(`role ${r.node}`, `${r.node} became ${role}${inEpoch}`);
  else if (node.spans.length > 2) say(`role ${r.node}`, `${r.node} is ${role}${inEpoch}`);
}

function onLink(model, r, say) {
  const d = r.data;
  const key = `${d.src}\u0000${d.dst}`;
  const parts = [];
  if (d.block) parts.push("blocked");
  if (d.loss !== null && d.loss !== undefined) parts.push(`loses ${Math.round(d.loss * 100)} %`);
  if (d.delay_ms) parts.push(`takes ${d.delay_ms[0]} to ${d.delay_ms[1]} ms`);
  if (d.duplicate !== null && d.duplicate !== undefined) parts.push(`duplicates ${Math.round(d.duplicate * 100)} %`);
  if (d.reorder !== null && d.reorder !== undefined) parts.push(`reorders ${Math.round(d.reorder * 100)} %`);
  const words = parts.join(", ");
  if (words) model.links.set(key, { src: d.src, dst: d.dst, block: Boolean(d.block), words });
  else model.links.delete(key);
  model.version++;
  model.mark(r, `${d.src} → ${d.dst} ${words || "is whole again"}`, null);
  say(`link ${key}`, `the link ${d.src} to ${d.dst} ${words || "is whole again"}`);
}

function endWall(model, t) {
  const wall = model.walls[model.walls.length - 1];
  if (wall && wall.to === null) wall.to = t;
}

const CHANGES = {
  start: onLife, kill: onLife, restart: onLife, error: onLife,
  pause: onFlag("paused", true), resume: onFlag("paused", false), isolate: onFlag("isolated", true),
  send: onSend, duplicate: onSend, deliver: onEnd, drop: onEnd, state: onState, link: onLink,
  skew(model, r, say) {
    model.node(r.node).rate = r.data.rate;
    model.mark(r, "clock skewed");
    say(r.node, `${r.node} ${WORDS.skew}`);
  },
  partition(model, r, say) {
    const { groups } = r.data;
    // Of a large cluster the sizes say more than the names.
    const text = groups.map((group) => (model.nodes.size > 12 ? group.length : group.join(" "))).join(" | ");
    model.groups = groups;
    endWall(model, r.at_ms);
    model.walls.push({ from: r.at_ms, to: null, text });
    model.version++;
    model.mark(r, `cut: ${text}`);
    say("network", `the network is cut: ${text}`);
  },
  heal(model, r, say) {
    model.groups = [];
    model.links.clear();
    for (const node of model.nodes.values()) node.isolated = false;
    endWall(model, r.at_ms);
    model.version++;
    model.mark(r, "healed");
    say("network", "the network is whole again");
  },
  set_timer(model, r) {
    const node = model.node(r.node);
    const after = r.data.after_ms / node.rate;
    node.timers.set(r.data.timer, { name: r.data.timer, from: r.at_ms, after });
  },
  fire: (model, r) => model.node(r.node).timers.delete(r.data.timer),
  cancel_timer: (model, r) => model.node(r.node).timers.delete(r.data.timer),
  note(model, r) {
    const text = r.data.text ? `${r.data.name} ${r.data.text}` : r.data.name;
    // What all nodes note one after the other is written once, at the first of them.
    const last = model.noted.get(text) ?? -Infinity;
    model.mark(r, text, r.node, r.at_ms - last < 30 * model.typicalMs);
    model.noted.set(text, r.at_ms);
    if (model.noted.size > 500) model.noted.delete(model.noted.keys().next().value);
  },
  invoke(model, r) {
    const node = model.node(r.node);
    node.operation = { t0: r.at_ms, t1: null, outcome: null, text: r.data.text, result: "" };
    node.operations.push(node.operation);
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
