// The records of a run in the order of their seq, and what they come to at any moment.

const CHECKPOINT_EVERY = 1000; // records
const KEEP_LIMIT = 160000; // records of a live run that can be looked back at

class Timeline {
  constructor(base, live) {
    this.base = base; // the few records that tell the state before the first one
    this.live = live;
    this.records = [];
    this.due = []; // when each has happened: it waits for those before it, since these may be its causes
    this.dropped = 0; // how many of the oldest were forgotten
    this.count = 0; // how many have happened at the cursor
    this.folds = new Set();
  }

  // Add what is new; records may be told twice.
  add(records) {
    for (const r of records) {
      const last = this.records.length - 1;
      if (last >= 0 && r.seq <= this.records[last].seq) continue;
      this.records.push(r);
      this.due.push(last < 0 ? r.at_ms : Math.max(this.due[last], r.at_ms));
    }
    if (this.live && this.records.length > KEEP_LIMIT) this.forget(CHECKPOINT_EVERY * Math.floor(KEEP_LIMIT / 4 / CHECKPOINT_EVERY));
  }

  forget(number) {
    for (const fold of this.folds) fold.forget(number);
    this.records.splice(0, number);
    this.due.splice(0, number);
    this.dropped += number;
    this.count = Math.max(0, this.count - number);
  }

  get from() { return this.due[0] ?? 0; }

  get to() { return this.due[this.due.length - 1] ?? 0; }

  // How many records have happened at a time.
  countAt(atMs) { return firstWhere(this.due.length, (i) => this.due[i] > atMs); }

  // Those that happened in a stretch of time; none if they are more than `most`.
  between(from, to, most = Infinity) {
    const { records, due } = this;
    const first = firstWhere(due.length, (i) => due[i] >= from), end = this.countAt(to);
    return end - first > most ? [] : records.slice(first, end).filter((r) => r.at_ms >= from);
  }

  // Where the record with this seq stands, or where it would.
  indexOf(seq) { return placeOf(this.records, seq); }

  // How many records have happened when this one has.
  seek(seq) { return firstWhere(this.records.length, (i) => this.records[i].seq > seq); }

  // The record with this seq, or undefined.
  find(seq) {
    const r = this.records[this.indexOf(seq)];
    return r?.seq === seq ? r : undefined;
  }
}

// The first of the numbers below `length` for which `holds` is true, as it is for all after it; else `length`.
function firstWhere(length, holds) {
  let low = 0, high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle; else low = middle + 1;
  }
  return low;
}

const placeOf = (records, seq) => firstWhere(records.length, (i) => records[i].seq >= seq);

// A fold over a timeline that can be asked for any moment: { start(), apply(state, record), copy(state) }.
// It keeps a copy every so many records, so no answer applies more than that again.
class Checkpoints {
  constructor(timeline, fold) {
    this.timeline = timeline;
    this.fold = fold;
    this.restart();
    timeline.folds.add(this);
  }

  restart() {
    this.state = this.fold.start();
    for (const r of this.timeline.base) this.fold.apply(this.state, r);
    this.count = 0;
    this.kept = [this.fold.copy(this.state)];
  }

  // The state after the first `count` records. It is lent: the next question changes it.
  at(count) {
    const mark = Math.min(Math.floor(count / CHECKPOINT_EVERY), this.kept.length - 1);
    if (count < this.count || mark * CHECKPOINT_EVERY > this.count) {
      this.state = this.fold.copy(this.kept[mark]);
      this.count = mark * CHECKPOINT_EVERY;
    }
    const { records } = this.timeline;
    while (this.count < count) {
      this.fold.apply(this.state, records[this.count++]);
      if (this.count === this.kept.length * CHECKPOINT_EVERY) this.kept.push(this.fold.copy(this.state));
    }
    return this.state;
  }

  // The oldest records go: what they came to is the new beginning.
  forget(number) {
    const count = Math.max(this.count, number);
    this.at(count);
    this.kept.splice(0, number / CHECKPOINT_EVERY);
    this.count = count - number;
  }

  close() { this.timeline.folds.delete(this); }
}
