// All that the space-time diagram shows of the records received so far. It only grows: the cursor moves over it.

const PAST_LIMIT = 120000; // messages of a live run that are remembered; of marks and spans a part of that

class History {
  constructor(past) {
    this.past = past;
    this.lanes = new Map();
    this.roles = [...past.roles];
    this.types = [...past.types];
    this.messages = []; // by the time of sending
    this.open = new Map(); // seq -> message whose end is not known yet
    this.ended = []; // since the diagram last drew
    this.marks = []; // faults and notes: {t, seq, node, kind, text, quiet}
    this.noted = new Map(); // text of a note -> when it was last made
    this.walls = []; // times of partitions: {from, to, text}
    this.longestMs = 0; // that a message took
    this.slackMs = 0; // records are in the order of causes: one may be earlier than that before it by so much
    this.typicalMs = 10;
    this.now = 0;
    for (const name of past.servers) this.lane(name, false);
    for (const name of past.clients) this.lane(name, true);
  }

  lane(name, client = this.past.serversKnown) {
    let lane = this.lanes.get(name);
    if (!lane) {
      lane = { name, client, dead: false, paused: false, isolated: false, role: null, epoch: null, spans: [], epochs: [], operations: [] };
      this.lanes.set(name, lane);
    }
    return lane;
  }

  get names() {
    const lanes = [...this.lanes.values()];
    return [...lanes.filter((l) => !l.client), ...lanes.filter((l) => l.client)].map((l) => l.name);
  }

  add(r) {
    this.slackMs = Math.max(this.slackMs, this.now - r.at_ms);
    this.now = Math.max(this.now, r.at_ms);
    HISTORY[r.kind]?.(this, r);
    if (FAULTS.has(r.kind)) this.mark(r, r.kind === "link" ? null : r.node);
  }

  mark(r, node, quiet = false) {
    this.marks.push({ t: r.at_ms, seq: r.seq, node, kind: r.kind, text: markWords(r), quiet });
  }

  // A stretch of a lane begins: in this role and health, and in this epoch.
  span(lane, t) {
    const health = lane.dead ? "dead" : lane.paused ? "paused" : "up";
    const role = lane.dead ? null : lane.role, epoch = lane.dead ? null : lane.epoch;
    const last = lane.spans[lane.spans.length - 1];
    if (!last || last.health !== health || last.role !== role) lane.spans.push({ t, health, role });
    const before = lane.epochs[lane.epochs.length - 1]?.epoch ?? null;
    if (before !== epoch) lane.epochs.push({ t, epoch, turn: lane.epochs.length });
  }

  // Forget the oldest, so that a long run does not fill the browser.
  trim() {
    if (this.messages.length > PAST_LIMIT) this.messages.splice(0, PAST_LIMIT / 3);
    const shorten = (list) => { if (list.length > PAST_LIMIT / 4) list.splice(0, PAST_LIMIT / 12); };
    shorten(this.marks);
    for (const lane of this.lanes.values()) for (const list of [lane.spans, lane.epochs, lane.operations]) shorten(list);
  }
}

function liveAgain(history, r) {
  const lane = history.lane(r.node);
  Object.assign(lane, { dead: r.kind === "kill" || r.kind === "error", paused: false, role: null, epoch: null, operation: null });
  history.span(lane, r.at_ms);
}

function sent(history, r) {
  const d = r.data;
  let type = history.types.indexOf(d.type);
  if (type < 0) type = history.types.push(d.type) - 1;
  if (d.delay_ms !== null) history.typicalMs += (d.delay_ms - history.typicalMs) / 50;
  const message = newMessage(r, type, history.typicalMs);
  message.usual = history.typicalMs;
  history.lane(r.node);
  history.lane(d.dst);
  history.messages.push(message);
  history.open.set(r.seq, message);
  if (history.open.size > FLYING_LIMIT) history.open.delete(history.open.keys().next().value);
}

function ended(history, r) {
  const m = history.open.get(r.cause);
  if (!m) return;
  history.open.delete(r.cause);
  endMessage(m, r, () => null, history.lane(m.dst).isolated);
  m.endSeq = r.seq;
  m.late ||= m.end === "deliver" && m.t1 - m.t0 > LATE * m.usual;
  history.longestMs = Math.max(history.longestMs, (m.until ?? m.t1) - m.t0);
  history.ended.push(m);
}

const LATE = 4; // a message that takes so many times as long as is usual is late

function setFlag(flag, value) {
  return (history, r) => {
    const lane = history.lane(r.node);
    lane[flag] = value;
    history.span(lane, r.at_ms);
  };
}

function endWall(history, t) {
  const wall = history.walls[history.walls.length - 1];
  if (wall && wall.to === null) wall.to = t;
}

const HISTORY = {
  start: liveAgain, kill: liveAgain, restart: liveAgain, error: liveAgain, send: sent, duplicate: sent, deliver: ended, drop: ended,
  pause: setFlag("paused", true), resume: setFlag("paused", false), isolate: setFlag("isolated", true),
  state(history, r) {
    const lane = history.lane(r.node);
    const { role, epoch } = r.data;
    if (!lane.client && role !== null && !history.roles.includes(role)) history.roles.push(role);
    Object.assign(lane, { role, epoch });
    history.span(lane, r.at_ms);
  },
  partition(history, r) {
    endWall(history, r.at_ms);
    history.walls.push({ from: r.at_ms, to: null, text: cutWords(r.data.groups) });
  },
  heal(history, r) {
    for (const lane of history.lanes.values()) lane.isolated = false;
    endWall(history, r.at_ms);
  },
  note(history, r) {
    // What all nodes note one after the other is written once, at the first of them.
    const text = markWords(r);
    const last = history.noted.get(text) ?? -Infinity;
    history.mark(r, r.node, r.at_ms - last < 30 * history.typicalMs);
    history.noted.set(text, r.at_ms);
    if (history.noted.size > 500) history.noted.delete(history.noted.keys().next().value);
  },
  invoke(history, r) {
    const lane = history.lane(r.node);
    lane.operation = { seq: r.seq, t0: r.at_ms, t1: null, outcome: null, text: r.data.text, result: "" };
    lane.operations.push(lane.operation);
  },
  return(history, r) {
    const { operation } = history.lane(r.node);
    if (operation) Object.assign(operation, { t1: r.at_ms, outcome: r.data.outcome, result: r.data.text });
    history.lane(r.node).operation = null;
  },
};
