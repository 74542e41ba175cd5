// What each node has on its disk: the fold of what it saved. A value is a text; a tuple is a list of texts,
// told as a splice of the one before (keep so many, then these).

const FIELDS = {
  start: () => new Map(), // node -> Map of field -> value
  copy: (nodes) => new Map([...nodes].map(([name, fields]) => [name, new Map(fields)])),
  apply(nodes, r) {
    if (r.kind === "restart" && r.data.disk === "lose") nodes.delete(r.node);
    if (r.kind !== "save") return;
    if (!nodes.has(r.node)) nodes.set(r.node, new Map());
    const fields = nodes.get(r.node);
    for (const [name, written] of Object.entries(r.data.values)) fields.set(name, spliced(fields.get(name), written));
  },
};

function spliced(old, written) {
  if (typeof written !== "object" || written === null) return written;
  return [...(Array.isArray(old) ? old : []).slice(0, written.keep), ...written.items];
}

// How a value reads when there is little room: of a long list the end matters.
function fieldWords(value) {
  if (value === undefined) return "nothing";
  if (!Array.isArray(value)) return value;
  if (value.length <= 3) return `(${value.join(", ")})`;
  return `(… ${value.length - 2} more, ${value.slice(-2).join(", ")})`;
}
