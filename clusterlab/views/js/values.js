// The values of all fields at any moment, from a beginning and the changes since. They come from the kernel as they are
// needed, a window of the run at a time, or lie in a saved page.

const ASKED_EVENTS = 4000; // events
const ASK_AGAIN_MS = 250;
const CHANGES_MAX = 20000; // of a run that is followed: then a new window begins

class FieldValues {
  constructor(view, heard) {
    this.view = view;
    this.heard = heard;
    this.kinds = {};
    this.forget();
    this.hear = (content) => this.receive(content);
    this.kernel = !view.past.values;
    if (this.kernel) view.channel.on("msg:custom", this.hear);
    else this.take(view.past.values);
  }

  close() {
    clearTimeout(this.asking);
    this.view.channel.off("msg:custom", this.hear);
  }

  forget() {
    Object.assign(this, { from: 0, until: 0, base: [], changes: [], progress: 0, asked: null });
    this.restart();
  }

  restart() {
    this.count = 0;
    this.nodes = new Map(); // name -> { fields: name -> { text, whole, log, seq, was }, marks, state, seq }
    for (const change of this.base) this.apply(change);
  }

  has(seq) { return seq >= this.from - 1 && seq < this.until; }

  // Values at `seq` are wanted: ask for what is lacking, once at a time.
  want(seq) {
    if (this.has(seq) || !this.kernel || this.asked) return;
    const onwards = seq >= this.until && seq < this.until + ASKED_EVENTS && this.until > 0 && this.changes.length < CHANGES_MAX;
    const from = onwards ? this.until : Math.max(0, seq + 1 - ASKED_EVENTS / 2);
    this.asked = { from, onwards };
    this.view.channel.send({ do: "values", view: this.view.id, from, until: Math.max(from + ASKED_EVENTS, seq + 1), onwards });
  }

  receive(content) {
    if (content.type !== "values" || content.to !== this.view.id || !this.asked) return;
    const { from, onwards } = this.asked;
    if (content.from !== from) return;
    this.progress = content.of ? content.reached / content.of : 1;
    const ready = content.reached >= from;
    if (ready) this.take(content, onwards);
    // A run that grows is asked about again soon, a long one that is being followed at once.
    this.asking = setTimeout(() => { this.asked = null; this.heard(); }, ready ? ASK_AGAIN_MS : 0);
    if (ready) this.heard();
  }

  take(content, onwards = false) {
    this.kinds = content.kinds;
    if (onwards) this.changes.push(...content.changes);
    else Object.assign(this, { from: content.from, base: content.base, changes: content.changes });
    this.until = content.until;
    if (!onwards) this.restart();
  }

  // The nodes as they were when `seq` had happened; lent until the next question.
  at(seq) {
    if (this.count > 0 && this.changes[this.count - 1][0] > seq) this.restart();
    while (this.count < this.changes.length && this.changes[this.count][0] <= seq) this.apply(this.changes[this.count++]);
    return this.nodes;
  }

  // The same to keep: what is in it is never changed.
  copyAt(seq) {
    return new Map([...this.at(seq)].map(([name, node]) => [name, { ...node, fields: new Map(node.fields) }]));
  }

  apply([seq, name, fields, marks, state]) {
    let node = this.nodes.get(name);
    if (!node) this.nodes.set(name, node = { fields: new Map(), marks: {}, state, seq });
    for (const [field, told] of Object.entries(fields)) {
      const old = node.fields.get(field);
      if (told === null) node.fields.delete(field);
      else node.fields.set(field, { ...valueOf(told, old?.log), seq, was: old?.whole ?? null });
    }
    if (marks) node.marks = marks;
    Object.assign(node, { state, seq });
  }
}

function valueOf(told, old) {
  if (typeof told === "string") return { text: told, whole: told, log: null };
  if (Array.isArray(told)) return { text: told[0], whole: told[1], log: null };
  const hidden = told.hidden ?? (told.keep ? old?.hidden ?? 0 : 0);
  const kept = told.keep && old ? old.cells.slice(0, Math.max(0, told.keep - hidden)) : [];
  const log = { start: told.start, hidden: Math.min(hidden, told.keep || hidden), cells: [...kept, ...told.cells] };
  const text = `${log.hidden + log.cells.length} entries`;
  return { text, whole: text, log };
}

// The entry of a log with this index (from 1); undefined if there is none, or if it is not told.
const entryAt = (log, index) => log?.cells[index - 1 - log.start - log.hidden];
