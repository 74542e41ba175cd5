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

// An event among all others: what led to it and what followed, as events and as messages.
function lightCone(records, record) {
  const past = causalPast(records, record.seq), future = causalFuture(records, record.seq);
  const message = begins(record) ? record.seq : ends(record) ? record.cause : null;
  const before = new Set(), after = new Set();
  for (const r of records) {
    if (r.kind === "deliver" && r.cause !== null && past.has(r.seq)) before.add(r.cause);
    else if (begins(r) && future.has(r.seq)) after.add(r.seq);
  }
  return { seq: record.seq, record, message, past, future, before, after };
}
