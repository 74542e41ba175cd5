// What stands still between the nodes: regions, the mesh, links with a fault and what is wrong with them, walls.

const LINK_REACH = 9; // px within which a link is under the pointer

class Links {
  constructor(stage) {
    this.stage = stage;
    this.boxes = svg("g", { class: "cl-regions" });
    this.lines = svg("g", { class: "cl-links" });
    this.walls = svg("g", { class: "cl-walls" });
    this.element = svg("g", { "aria-hidden": "true" }, this.boxes, this.lines, this.walls);
  }

  drawPlan(layout) {
    this.boxes.replaceChildren(...layout.boxes.map((box) => svg("g", {},
      svg("rect", { class: "cl-region", x: box.x, y: box.y, width: box.width, height: box.height, rx: 12 }),
      svg("text", { class: "cl-regionname", x: box.x + 12, y: box.y + 18, text: fit(box.name, Math.floor(box.width / 8)) }))));
    this.walls.replaceChildren(...(layout.walls.length ? [svg("g", { class: "cl-wall" },
      ...["cl-mortar", "cl-bricks"].map((part) => svg("path", { class: part, d: layout.walls.map((wall) => wall.d).join(" ") })))] : []));
  }

  // The pairs of servers between which a plain link is drawn.
  pairs(model) {
    const servers = model.servers.length <= CROWD ? model.servers : [];
    const { sides } = this.stage;
    return servers.flatMap((a, i) => servers.slice(i + 1).filter((b) =>
      sides.get(a) === sides.get(b) && !model.nodes.get(a).isolated && !model.nodes.get(b).isolated).map((b) => [a, b]));
  }

  draw(model) {
    const { places, layout } = this.stage;
    const lines = this.pairs(model).map(([a, b]) => {
      const ways = layout.bulge ? [this.stage.wayOf(a, b), this.stage.wayOf(b, a)] : null;
      return svg("path", { class: "cl-mesh", d: ways ? ways.map(wayPath).join(" ") : `M${places.get(a)} L${places.get(b)}` });
    });
    for (const link of model.links.values()) {
      const way = this.stage.wayOf(link.src, link.dst);
      if (way) lines.push(this.drawFault(link, way));
    }
    this.lines.replaceChildren(...lines);
  }

  // A link with a fault: an arrow, barred if nothing passes, and in words what is wrong.
  drawFault(link, way) {
    const kind = link.block ? "cl-blocked" : link.loss ? "cl-lossy" : link.delay_ms ? "cl-slow" : "cl-odd";
    const [x, y] = pointOn(way, STOPS.blocked), [tx, ty] = pointOn(way, 0.36);
    const turn = turnAt(way, STOPS.blocked);
    const sign = link.block ? "M0 -9 L0 9 M-12 -5 L-6 0 L-12 5" : "M-4 -5 L4 0 L-4 5";
    return svg("g", { class: `cl-link ${kind}`, "data-src": link.src, "data-dst": link.dst },
      svg("path", { class: "cl-linkline", d: wayPath(way) }),
      svg("path", { class: "cl-linksign", transform: `translate(${x} ${y}) rotate(${turn})`, d: sign }),
      svg("text", { class: "cl-linkwords", x: tx, y: ty + 4, text: link.words }));
  }

  // The link under a point, as [from, to] in the direction that is nearer, or null.
  at(model, x, y) {
    let found = null, nearest = LINK_REACH;
    const known = [...model.links.values()].map((link) => [link.src, link.dst]);
    for (const [src, dst] of [...known, ...this.pairs(model).flatMap(([a, b]) => [[a, b], [b, a]])]) {
      const way = this.stage.wayOf(src, dst);
      const distance = way ? distanceTo(way, x, y) : Infinity;
      if (distance < nearest) [nearest, found] = [distance, [src, dst]];
    }
    return found;
  }
}
