// What happened before what (Lamport 1978): an event is after its cause and after the earlier events of its node.
// The same two walks as in core/trace.py, over records in the order of their seq.

const ofProgram = (r) => r.node !== null && r.kind !== "drop" && r.kind !== "duplicate"; // those two the network does

// The seqs of all that happened before the event.
function causalPast(records, seq) {
  const wanted = new Set([seq]), nodes = new Set(), past = new Set();
  for (let i = Math.min(placeOf(records, seq), records.length - 1); i >= 0; i--) {
    const r = records[i];
    if (!wanted.has(r.seq) && !(ofProgram(r) && nodes.has(r.node))) continue;
    past.add(r.seq);
    if (ofProgram(r)) nodes.add(r.node);
    if (r.cause !== null) wanted.add(r.cause);
  }
  past.delete(seq);
  return past;
}

// The seqs of all that it happened before.
function causalFuture(records, seq) {
  const start = placeOf(records, seq);
  const first = records[start];
  const reached = new Set([seq]), nodes = new Set(first && ofProgram(first) ? [first.node] : []), future = new Set();
  for (let i = start + 1; i < records.length; i++) {
    const r = records[i];
    if (!reached.has(r.cause) && !(ofProgram(r) && nodes.has(r.node))) continue;
    future.add(r.seq);
    reached.add(r.seq);
    if (ofProgram(r)) nodes.add(r.node);
  }
  return future;
}

// A message among all others: what led to its sending and what followed, as events and as messages.
function lightCone(records, message) {
  const past = causalPast(records, message.seq), future = causalFuture(records, message.seq);
  const before = new Set(), after = new Set();
  for (const r of records) {
    if (r.kind === "deliver" && r.cause !== null && past.has(r.seq)) before.add(r.cause);
    else if ((r.kind === "send" || r.kind === "duplicate") && future.has(r.seq)) after.add(r.seq);
  }
  return { seq: message.seq, past, future, before, after };
}

// --- moments: where a recorded run can be stepped to ---

const FAULTS = new Set(["kill", "restart", "pause", "resume", "isolate", "skew", "partition", "heal", "link", "error"]);
const STEPS = new Set(["deliver", "drop", "fire", "note", "invoke", "return", ...FAULTS]);

class Moments {
  constructor(records) {
    this.records = records;
    this.at = new Map(); // time -> what happened then
    this.sent = new Map(); // seq -> what a message says
    for (const r of records) {
      if (r.kind === "send" || r.kind === "duplicate") this.sent.set(r.seq, r.data.text);
      if (!STEPS.has(r.kind)) continue;
      if (!this.at.has(r.at_ms)) this.at.set(r.at_ms, []);
      this.at.get(r.at_ms).push(r);
    }
    this.times = [...this.at.keys()].sort((a, b) => a - b);
  }

  // The time of the next moment (by = 1) or of the one before (by = -1), or undefined.
  from(shown, by) {
    return by > 0 ? this.times.find((t) => t > shown) : this.times.findLast((t) => t < shown);
  }

  words(t) {
    const said = (this.at.get(t) ?? []).map((r) => this.sentence(r));
    return said.length > 4 ? [...said.slice(0, 3), `${said.length - 3} events more`].join("; ") : said.join("; ");
  }

  sentence(r) {
    const d = r.data;
    const what = this.sent.get(r.cause) ?? "a message";
    switch (r.kind) {
      case "deliver": return `${r.node} receives ${what} from ${d.src}`;
      case "drop": return `${what} from ${d.src} to ${r.node} is ${WHY[d.why] ?? d.why}`;
      case "fire": return `${r.node}: ${d.timer} fires`;
      case "note": return `${r.node}: ${d.name}${d.text ? ` ${d.text}` : ""}`;
      case "invoke": return `${r.node} asks for ${d.text}`;
      case "return": return `${r.node} is told ${d.outcome} ${d.text}`;
      case "partition": return `the network is cut: ${d.groups.map((group) => group.join(" ")).join(" | ")}`;
      case "heal": return "the network is whole again";
      case "link": return `the link ${d.src} to ${d.dst} changes`;
      case "error": return `${r.node} died of an error: ${d.error}`;
    }
    return `${r.node} ${WORDS[r.kind]}`;
  }
}
