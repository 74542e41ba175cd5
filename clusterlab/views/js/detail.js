// The chosen event in words: what happened, what it changed (before → after), and what it has to do with all else.

class Detail {
  constructor(on) {
    this.on = on; // {goTo(seq), close()}
    this.words = html("p", { class: "cl-detailwords", role: "status" });
    this.cone = html("span", { class: "cl-caption" });
    this.changes = html("dl", { class: "cl-changes" });
    const button = (action, text, title, press) => html("button", { type: "button", class: "cl-button cl-small", "data-do": action, title, text, onclick: press });
    this.element = html("section", { class: "cl-detail", "aria-label": "the chosen event", hidden: true },
      html("div", { class: "cl-transport" }, this.words,
        button("go-there", "Go there", "Move the cursor to this event (Enter)", () => this.on.goTo(this.seq)),
        button("choose-none", "×", "Choose no event (Escape)", () => this.on.close())),
      this.cone, this.changes);
  }

  // `chosen` is a light cone or null; `changes` are [node, field, before, after].
  show(chosen, sentence, changes) {
    this.element.hidden = !chosen;
    if (!chosen) return;
    this.seq = chosen.seq;
    putText(this.words, `${msText(chosen.record.at_ms)}: ${sentence}.`);
    putText(this.cone, `${messages(chosen.before.size)} led to it (solid), ${messages(chosen.after.size)} followed from it (dashed).`);
    this.changes.replaceChildren(...changes.flatMap(([node, field, before, after]) => [
      html("dt", { text: `${node}.${field}` }),
      html("dd", {}, html("del", { text: before }), " → ", html("ins", { text: after })),
    ]));
  }
}

const messages = (count) => `${count.toLocaleString("en-US")} ${count === 1 ? "message" : "messages"}`;

// The records that one step of a node made: those that name its begin as their cause. They follow it closely.
const STEP_RECORDS = 400;

function stepOf(timeline, record) {
  const begin = ["save", "state", "send", "set_timer", "cancel_timer", "note", "invoke", "return"].includes(record.kind) && record.cause !== null
    ? timeline.find(record.cause) ?? record : record;
  const at = timeline.indexOf(begin.seq) + 1;
  return [begin, ...timeline.records.slice(at, at + STEP_RECORDS).filter((r) => r.cause === begin.seq && r.node === begin.node)];
}

// What the step of an event changed: [node, field, before, after] of what it saved and of what the node showed.
function changesOf(timeline, fields, record) {
  const [begin, ...made] = stepOf(timeline, record);
  const disk = fields.at(timeline.indexOf(begin.seq)).get(begin.node) ?? new Map();
  const before = new Map(disk), after = new Map(disk);
  const shown = [];
  for (const r of made) {
    if (r.kind === "save") for (const [name, value] of Object.entries(r.data.values)) after.set(name, spliced(after.get(name), value));
    if (r.kind === "state") shown.push(r);
  }
  const changes = [...after].filter(([name, value]) => value !== before.get(name))
    .map(([name, value]) => [name, ...inBrief(before.get(name), value)]).filter(([, a, b]) => a !== b);
  const old = shown.length ? shownBefore(timeline, shown[0]) : null;
  for (const name of shown.length ? ["role", "epoch", "label"] : []) {
    const [was, is] = [old?.data[name], shown[shown.length - 1].data[name]].map((value) => (value === null || value === undefined || value === "" ? "nothing" : String(value)));
    if (was !== is) changes.push([name, was, is]);
  }
  return changes.map((change) => [begin.node, ...change]);
}

// Two lists are told by where they part.
function inBrief(a, b) {
  if (!Array.isArray(b) || !Array.isArray(a ?? [])) return [fieldWords(a), fieldWords(b)];
  const old = a ?? [];
  const differs = b.findIndex((item, i) => item !== old[i]);
  const keep = differs < 0 ? Math.min(old.length, b.length) : differs;
  const tail = (list) => {
    const rest = list.slice(keep);
    return rest.length ? `[${keep + 1}…] ${rest.slice(0, 3).join(", ")}${rest.length > 3 ? `, ${rest.length - 3} more` : ""}` : `${list.length} items`;
  };
  return [tail(old), tail(b)];
}

// The last time the node showed itself before this record; it has shown nothing since it last died.
function shownBefore(timeline, record) {
  for (let i = timeline.indexOf(record.seq) - 1; i >= 0; i--) {
    const r = timeline.records[i];
    if (r.node !== record.node) continue;
    if (r.kind === "state") return r;
    if (r.kind === "kill" || r.kind === "error") return null;
  }
  return timeline.base.findLast((r) => r.kind === "state" && r.node === record.node) ?? null;
}
