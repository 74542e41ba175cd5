// Records in words. Whatever comes from a trace is a text here, and enters the page as text.

const WORDS = {
  kill: "was killed", restart: "was restarted", pause: "is paused", resume: "goes on",
  isolate: "is isolated", skew: "has a skewed clock", start: "starts",
};
const LOSSES = {
  lost: "lost by the network", partition: "stopped by the partition", isolated: "stopped by the isolation",
  blocked: "stopped by the blocked link", dead: "told to a dead node",
};
const FAULTS = new Set(["kill", "restart", "pause", "resume", "isolate", "skew", "partition", "heal", "link", "error"]);

const DEEDS = { hold_message: "held", release_message: "released", drop_message: "dropped", duplicate_message: "doubled" };

// Of a large cluster the sizes say more than the names.
function cutWords(groups) {
  const many = groups.flat().length > 12;
  return groups.map((group) => (many ? group.length : group.join(" "))).join(" | ");
}

function linkWords(d) {
  const given = (value) => value !== null && value !== undefined;
  const parts = [];
  if (d.block) parts.push("blocked");
  if (given(d.loss)) parts.push(`loses ${Math.round(d.loss * 100)} %`);
  if (d.delay_ms) parts.push(`takes ${d.delay_ms[0]} to ${d.delay_ms[1]} ms`);
  if (given(d.duplicate)) parts.push(`duplicates ${Math.round(d.duplicate * 100)} %`);
  if (given(d.reorder)) parts.push(`reorders ${Math.round(d.reorder * 100)} %`);
  return parts.join(", ");
}

// What happened, as a sentence without its full stop; `sent` is the record of the message that it is about, if it is known.
function sentenceOf(r, sent) {
  const d = r.data;
  const what = sent?.data.text ?? "a message";
  switch (r.kind) {
    case "send": return `${r.node} sends ${d.text} to ${d.dst}`;
    case "duplicate": return `the network makes a second copy of ${d.text} from ${r.node} to ${d.dst}`;
    case "deliver": return `${r.node} receives ${what} from ${d.src}`;
    case "drop": return `${what} from ${d.src} to ${r.node} is ${LOSSES[d.why] ?? d.why}`;
    case "set_timer": return `${r.node} sets ${d.timer} to ${msText(d.after_ms)}`;
    case "cancel_timer": return `${r.node} cancels ${d.timer}`;
    case "fire": return `${r.node}: ${d.timer} fires`;
    case "note": return `${r.node}: ${d.name}${d.text ? ` ${d.text}` : ""}`;
    case "save": return `${r.node} writes ${Object.keys(d.values).join(", ")}`;
    case "state": return `${r.node} is ${[d.role, d.epoch === null ? "" : `epoch ${d.epoch}`, d.label].filter(Boolean).join(" · ") || "as it was"}`;
    case "invoke": return `${r.node} asks for ${d.text}`;
    case "return": return `${r.node} is told ${d.outcome} ${d.text}`;
    case "partition": return d.groups.length > 1 ? `the network is cut: ${cutWords(d.groups)}` : "the network is cut no more";
    case "heal": return "the network is whole again";
    case "link": return `the link ${d.src} to ${d.dst} ${linkWords(d) || "is whole again"}`;
    case "error": return `${r.node} died of an error: ${d.error}`;
    case "hold_message": case "release_message": case "drop_message": case "duplicate_message":
      return `a message is ${DEEDS[r.kind]} by hand`;
    case "restart": return `${r.node} was restarted${d.disk === "lose" ? " without its disk" : ""}`;
  }
  return r.node === null ? r.kind : `${r.node} ${WORDS[r.kind] ?? r.kind}`;
}

// The short words beside its sign in the space-time diagram.
function markWords(r) {
  const d = r.data;
  switch (r.kind) {
    case "note": return d.text ? `${d.name} ${d.text}` : d.name;
    case "restart": return d.disk === "lose" ? "restarted without its disk" : "restarted";
    case "link": return `${d.src} → ${d.dst} ${linkWords(d) || "is whole again"}`;
    case "partition": return d.groups.length > 1 ? `cut: ${cutWords(d.groups)}` : "cut no more";
    case "heal": return "healed";
    case "skew": return "clock skewed";
    case "error": return "error";
  }
  return (WORDS[r.kind] ?? r.kind).replace(/^(was|is) /, "");
}
