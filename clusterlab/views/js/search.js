// The little language of "jump to": kind:deliver node:n3 from:n1 to:n2 type:RequestVote text:"x = 1" and bare words.
// All words of a query must hold. What is to the right of a colon may be several with commas: kind:kill,restart.

const KINDS = [
  "start", "deliver", "fire", "save", "send", "duplicate", "drop", "set_timer", "cancel_timer", "note", "state",
  "kill", "restart", "pause", "resume", "skew", "isolate", "partition", "heal", "link", "invoke", "return", "error",
];
const SEARCH_HELP = "Words that must all hold. kind:deliver, node:n3, from:n1 and to:n2 (of messages), type:NAME of a message, "
  + "text:\"some words\" anywhere in it. A bare word is the type of a message, the name of a note or timer, or a node. "
  + "kind:kill,restart is either. Enter goes to the next hit, Shift+Enter to the one before.";

const same = (a, b) => String(a ?? "").toLowerCase() === b;
const within = (a, b) => String(a ?? "").toLowerCase().includes(b);
const ends = (r) => r.kind === "deliver" || r.kind === "drop";
const begins = (r) => r.kind === "send" || r.kind === "duplicate";

// What each key asks of a record `r`, about the message `m` (a record of kind send, if there is one).
const KEYS = {
  kind: (r, m, value) => same(r.kind, value),
  node: (r, m, value) => same(r.node, value),
  from: (r, m, value) => same(begins(r) ? r.node : ends(r) || r.kind === "link" ? r.data.src : null, value),
  to: (r, m, value) => same(begins(r) || r.kind === "link" ? r.data.dst : ends(r) ? r.node : null, value),
  type: (r, m, value) => same(m?.data.type, value),
  text: (r, m, value) => within(sentenceOf(r, m), value),
};

function bareWord(r, m, value) {
  const d = r.data;
  return same(r.node, value) || within(m?.data.type, value) || within(r.kind === "note" ? d.name : d.timer, value);
}

// A query as {tests, problem}: `problem` is a sentence with the mend, or "".
function parseSearch(query) {
  const tests = [];
  for (const [, key, quoted, plain] of query.matchAll(/(?:([^\s:"]+):)?(?:"([^"]*)"?|(\S+))/g)) {
    const values = (quoted ?? plain).toLowerCase().split(quoted === undefined ? "," : "\u0000").filter(Boolean);
    if (key === undefined && quoted === undefined && /^[a-z]+:$/i.test(plain)) {
      return { tests, problem: `Say what ${plain} shall be, as in ${EXAMPLES[plain.slice(0, -1).toLowerCase()] ?? "kind:deliver"}.` };
    }
    if (key !== undefined && !Object.hasOwn(KEYS, key.toLowerCase())) {
      return { tests, problem: `There is no key ${key}: write ${nearest(key, Object.keys(KEYS))}:${plain ?? `"${quoted}"`}, or one of ${Object.keys(KEYS).join(", ")}.` };
    }
    const wrong = key?.toLowerCase() === "kind" ? values.find((value) => !KINDS.includes(value)) : undefined;
    if (wrong !== undefined) return { tests, problem: `There is no kind ${wrong}: write kind:${nearest(wrong, KINDS)}, or one of ${KINDS.join(", ")}.` };
    const test = key === undefined ? bareWord : KEYS[key.toLowerCase()];
    if (values.length) tests.push((r, m) => values.some((value) => test(r, m, value)));
  }
  return { tests, problem: "" };
}

const EXAMPLES = { kind: "kind:deliver", node: "node:n1", from: "from:n1", to: "to:n2", type: "type:Hello", text: 'text:"two words"' };

// The word of a list that differs in the fewest letters (Levenshtein 1966).
function nearest(word, list) {
  const distance = (a, b) => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1]));
      row = next;
    }
    return row[b.length];
  };
  return list.reduce((best, one) => (distance(word.toLowerCase(), one) < distance(word.toLowerCase(), best) ? one : best));
}

// The message that a record is about, or undefined.
const messageOf = (timeline, r) => (begins(r) ? r : ends(r) && r.cause !== null ? timeline.find(r.cause) : undefined);

// The hits of one query, as seqs; records that come later are looked at when they have come.
class Search {
  constructor(timeline, query) {
    this.timeline = timeline;
    Object.assign(this, parseSearch(query));
    this.empty = !this.tests.length;
    this.seqs = [];
    this.looked = timeline.dropped; // so many records, those that were forgotten included
    this.look();
  }

  look() {
    if (this.problem || this.empty) return;
    const { records, dropped } = this.timeline;
    for (let i = Math.max(0, this.looked - dropped); i < records.length; i++) {
      const r = records[i], m = messageOf(this.timeline, r);
      if (this.tests.every((test) => test(r, m))) this.seqs.push(r.seq);
    }
    this.looked = dropped + records.length;
    const first = records[0]?.seq ?? 0;
    if (this.seqs[0] < first) this.seqs = this.seqs.filter((seq) => seq >= first);
  }

  // The hit after this seq (by = 1) or before it (by = -1); after the last one the first follows.
  from(seq, by) {
    const { seqs } = this;
    if (!seqs.length) return undefined;
    const at = by > 0 ? firstWhere(seqs.length, (i) => seqs[i] > seq) : firstWhere(seqs.length, (i) => seqs[i] >= seq) - 1;
    return seqs[(at + seqs.length) % seqs.length];
  }

  words(seq) {
    if (this.problem || this.empty) return "";
    const at = this.seqs.indexOf(seq);
    const count = this.seqs.length.toLocaleString("en-US");
    return at < 0 ? `${count} ${this.seqs.length === 1 ? "hit" : "hits"}` : `${at + 1} of ${count}`;
  }
}

class SearchBox {
  constructor(on) {
    this.on = on; // {jump(by), changed(query)}
    this.input = html("input", {
      type: "search", class: "cl-search", placeholder: "jump to: kind:deliver node:n3 …", "aria-label": "jump to", title: SEARCH_HELP,
      "aria-description": SEARCH_HELP, spellcheck: "false", autocomplete: "off",
      oninput: () => this.on.changed(this.input.value),
      onkeydown: (event) => {
        if (event.key === "Enter") this.on.jump(event.shiftKey ? -1 : 1);
        else if (event.key === "Escape") this.input.blur();
        else return;
        event.preventDefault();
        event.stopPropagation();
      },
    });
    const hop = (by, text, title) => html("button", {
      type: "button", class: "cl-button cl-small", "data-do": by > 0 ? "next-hit" : "last-hit", title, "aria-label": title, text, onclick: () => this.on.jump(by),
    });
    this.hops = [hop(-1, "↑", "The hit before (N)"), hop(1, "↓", "The next hit (n)")];
    this.count = html("span", { class: "cl-hits", "aria-live": "polite" });
    this.element = html("span", { class: "cl-transport", role: "search" }, this.input, ...this.hops, this.count);
  }

  update(search, seq) {
    for (const hop of this.hops) hop.hidden = !search?.seqs.length;
    putText(this.count, search ? search.problem || search.words(seq) : "");
    put(this.input, "aria-invalid", Boolean(search?.problem));
  }
}
