// A line drawn across the picture: the nodes on either side of it become the sides of a partition.

const LINE_MIN = 24; // px; less is a click

// The sides of the line from p to q, as [servers and clients on the left, those on the right].
function sidesOfLine(p, q, model, places) {
  const sides = [[], []];
  for (const node of model.nodes.values()) {
    const at = places.get(node.name);
    if (at) sides[(q[0] - p[0]) * (at[1] - p[1]) - (q[1] - p[1]) * (at[0] - p[0]) > 0 ? 1 : 0].push(node);
  }
  const names = sides.map((side) => side.map((node) => node.name));
  return sides.every((side) => side.some((node) => !node.client)) ? names : null;
}

class CutLine {
  constructor() {
    this.line = svg("line", { class: "cl-cutline" });
    this.words = svg("text", { class: "cl-cutwords" });
    this.element = svg("g", { class: "cl-cut", "aria-hidden": "true", display: "none" }, this.line, this.words);
    this.from = null;
    this.groups = null;
  }

  get active() {
    return this.from !== null;
  }

  begin(point) {
    this.from = point;
  }

  // Show where the line runs and who would stand where.
  move(to, model, places, width) {
    const from = this.from;
    const long = Math.hypot(to[0] - from[0], to[1] - from[1]) >= LINE_MIN;
    this.groups = long ? sidesOfLine(from, to, model, places) : null;
    put(this.element, "display", long ? "inline" : "none");
    // Beyond both ends, so that it is plain that the whole line cuts.
    const reach = 2000 / (Math.hypot(to[0] - from[0], to[1] - from[1]) || 1);
    const [dx, dy] = [(to[0] - from[0]) * reach, (to[1] - from[1]) * reach];
    for (const [name, value] of Object.entries({ x1: from[0] - dx, y1: from[1] - dy, x2: to[0] + dx, y2: to[1] + dy })) put(this.line, name, value);
    put(this.element, "data-cuts", Boolean(this.groups));
    putText(this.words, this.groups ? cutWords(this.groups) : "a line between nodes cuts");
    put(this.words, "x", width / 2);
    put(this.words, "y", 24);
    return this.groups;
  }

  // The groups that the line makes, or null.
  end() {
    const { groups } = this;
    this.from = this.groups = null;
    put(this.element, "display", "none");
    return groups;
  }
}
