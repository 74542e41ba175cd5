// The state panel: every declared field of every node at the cursor, logs as rows of cells.
// What changed just now and what differs from a node or a moment that one compares with has a sign, not only a colour.

const DRAW_EVERY_MS = 90;
const DRAW_SHARE = 8; // a drawing is followed by so many times as long without one
const COLUMNS_MAX = 7; // of more nodes each gets a row
const CELL_WIDTH = 30;

class StatePanel {
  constructor(view) {
    this.view = view;
    this.values = null;
    this.pinned = null;
    this.drawnAt = -Infinity;
    this.cost = 0; // ms that the last drawing took
    this.active = null; // the place of the cell that the keyboard is on
    this.said = html("output", { class: "cl-whole", "aria-live": "off" });
    this.note = html("span", { class: "cl-caption cl-statenote" });
    this.pin = html("button", { type: "button", class: "cl-button cl-small", "aria-pressed": "false", "data-do": "pin", onclick: () => this.togglePin() }, "Pin this moment");
    this.other = html("select", { class: "cl-speed", "aria-label": "compare with", "data-do": "compare", onchange: () => this.draw() });
    this.clients = html("input", { type: "checkbox", onchange: () => this.draw() });
    this.fields = html("table", { class: "cl-fields" });
    this.logs = html("div", { class: "cl-logs" });
    this.grid = [];
    this.body = html("div", {
      class: "cl-scroll", role: "region", "aria-label": "fields of the nodes", tabindex: "-1",
      onkeydown: (event) => this.key(event), onpointerover: (event) => this.tell(event.target), onfocusin: (event) => this.tell(event.target),
    }, this.fields, this.logs);
    this.element = html("details", { class: "cl-panel cl-state", open: view.stateOpen, ontoggle: () => this.toggle() },
      html("summary", {}, "State of the nodes"),
      html("div", { class: "cl-bar" }, this.pin, html("label", { class: "cl-caption" }, "compare with ", this.other),
        html("label", { class: "cl-caption" }, this.clients, " clients too"), this.note),
      this.body, this.said);
  }

  destroy() {
    clearTimeout(this.later);
    this.values?.close();
    this.element.remove();
  }

  toggle() {
    this.view.stateOpen = this.element.open; // a new past brings a new panel
    if (this.element.open) this.values ??= new FieldValues(this.view, () => this.draw());
    this.draw();
  }

  // Text is laid out anew, so not in every frame.
  update() {
    if (!this.element.open || this.later) return;
    const wait = this.drawnAt + Math.max(DRAW_EVERY_MS, DRAW_SHARE * this.cost) - performance.now();
    if (wait <= 0) this.draw();
    else this.later = setTimeout(() => this.draw(), wait);
  }

  togglePin() {
    const { cursor } = this.view;
    this.pinned = this.pinned || !this.values?.has(cursor.seq) ? null : { atMs: cursor.atMs, nodes: this.values.copyAt(cursor.seq) };
    put(this.pin, "aria-pressed", Boolean(this.pinned));
    this.other.value = "";
    this.draw();
  }

  draw() {
    clearTimeout(this.later);
    this.later = null;
    this.drawnAt = performance.now();
    if (!this.element.open || !this.values) return;
    const { seq } = this.view.cursor;
    this.values.want(seq);
    const known = this.values.has(seq) || (this.view.live && this.values.until > 0);
    putText(this.note, known ? this.noteOn(seq) : this.waiting());
    this.body.hidden = !known;
    if (!known) return;
    const nodes = this.values.at(seq);
    const names = [...nodes.keys()].filter((name) => this.clients.checked || !this.view.model.nodes.get(name)?.client);
    this.offer(names);
    const shown = names.map((name) => ({ name, ...nodes.get(name) }));
    this.newest = Math.max(-1, ...shown.map((node) => node.seq));
    const fields = Object.keys(this.values.kinds).filter((field) => shown.some((node) => node.fields.has(field)));
    const logs = fields.filter((field) => shown.some((node) => node.fields.get(field)?.log));
    morph(this.fields, this.drawFields(shown, fields.filter((field) => !logs.includes(field))));
    morph(this.logs, html("div", { class: "cl-logs" }, ...logs.map((field) => this.drawLog(shown, field))));
    this.grid = [...this.body.querySelectorAll("tr")].map((row) => [...row.querySelectorAll("td[tabindex]")]).filter((row) => row.length);
    this.rove();
    this.cost = performance.now() - this.drawnAt;
  }

  waiting() {
    const { kernel, from, until, progress } = this.values;
    if (!kernel) return until > from ? "The values of this moment were not saved with the page: it holds those of the earlier part of the run." : "This page holds no values.";
    return progress > 0 && progress < 1 ? `Following the run: ${Math.round(progress * 100)} % …` : "Asking the kernel …";
  }

  noteOn(seq) {
    const nodes = [...this.values.at(seq).values()];
    if (!nodes.length) return "Nothing was saved yet, and the nodes of this run are not at hand: show(trace, nodes=...) tells all their fields.";
    const diskOnly = nodes.some((node) => node.state === "disk");
    const compared = this.pinned && !this.other.value ? `Compared with ${msText(this.pinned.atMs)} (≠). ` : "";
    return compared + (diskOnly ? "Of some nodes only what they saved is known: show(trace, nodes=...) tells the rest." : "");
  }

  offer(names) {
    const offered = ["", ...names];
    if (offered.join("\n") === this.offered) return;
    this.offered = offered.join("\n");
    const chosen = this.other.value;
    this.other.replaceChildren(...offered.map((name) => html("option", { value: name }, name || "–")));
    this.other.value = offered.includes(chosen) ? chosen : "";
  }

  // What a field of a node is compared with; undefined if with nothing.
  reference(node, field) {
    if (this.other.value) return node.name === this.other.value ? undefined : this.values.nodes.get(this.other.value)?.fields.get(field) ?? null;
    return this.pinned ? this.pinned.nodes.get(node.name)?.fields.get(field) ?? null : undefined;
  }

  // --- fields ---

  drawFields(nodes, fields) {
    const across = nodes.length <= COLUMNS_MAX;
    const heads = nodes.map((node) => this.nodeHead(node, across ? "col" : "row"));
    const titles = fields.map((field) => html("th", { scope: across ? "row" : "col" }, field, html("small", {}, this.values.kinds[field])));
    const cells = nodes.map((node) => fields.map((field) => this.fieldCell(node, field)));
    const corner = html("th", { scope: "col" }, across ? "field" : "node");
    const rows = across ? fields.map((_, i) => [titles[i], cells.map((column) => column[i])]) : nodes.map((_, i) => [heads[i], cells[i]]);
    const room = across ? (this.view.root.clientWidth - 230) / nodes.length : 160;
    this.body.style.setProperty("--cl-column", `${Math.max(90, Math.floor(room))}px`);
    return html("table", { class: "cl-fields" },
      html("caption", {}, "Fields at ", msText(this.view.cursor.atMs)),
      html("thead", {}, html("tr", {}, corner, ...(across ? heads : titles))),
      html("tbody", {}, ...rows.map(([title, row]) => html("tr", {}, title, ...row))));
  }

  nodeHead(node, scope) {
    const dead = node.state === "dead" || this.view.model.nodes.get(node.name)?.dead;
    const what = dead ? "✝ dead, disk only" : node.state === "disk" ? "disk only" : null;
    return html("th", { scope, "data-health": dead ? "dead" : "up" }, node.name, what && html("small", {}, what));
  }

  fieldCell(node, field) {
    const value = node.fields.get(field);
    const lives = this.values.kinds[field] === "memory" && node.state !== "up";
    const text = value?.text ?? (lives ? "gone" : "");
    const reference = this.reference(node, field);
    const differs = reference !== undefined && (reference?.whole ?? null) !== (value?.whole ?? null);
    const cell = html("td", {
      tabindex: "-1", "data-node": node.name, "data-field": field, "data-gone": !value && lives,
      "data-changed": Boolean(value) && this.isNew(value), "data-differs": differs, title: value?.whole,
    }, text);
    cell.words = [
      value ? `${node.name}.${field} = ${value.whole}` : `${node.name}.${field}: ${lives ? "lost with its memory" : "it has no such field"}`,
      value?.was !== null && value?.was !== undefined ? `was ${value.was} until event ${value.seq}` : null,
      differs ? `differs from ${reference?.whole ?? "nothing"}` : null,
    ].filter(Boolean).join("; ");
    return cell;
  }

  // Whether it came with the newest change of all that are shown.
  isNew(value) { return value.seq === this.newest; }

  // --- logs ---

  drawLog(nodes, field) {
    const having = nodes.filter((node) => node.fields.has(field));
    const logs = having.map((node) => node.fields.get(field).log);
    const last = Math.max(1, ...logs.filter(Boolean).map((log) => log.start + log.hidden + log.cells.length));
    const earliest = Math.min(...logs.filter(Boolean).map((log) => log.start + 1));
    const room = Math.max(6, Math.floor((this.view.root.clientWidth - 340) / CELL_WIDTH));
    const first = Math.max(earliest, last - room + 1);
    const indices = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const caption = first > earliest ? `${field}, from entry ${first} on` : field;
    return html("table", { class: "cl-log" },
      html("caption", {}, caption),
      html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "node"), ...indices.map((i) => html("th", { scope: "col" }, String(i))), html("th", { scope: "col", class: "cl-marks" }, "so far"))),
      html("tbody", {}, ...having.map((node, row) => this.logRow(node, field, logs[row], indices))));
  }

  logRow(node, field, log, indices) {
    const marks = Object.entries(node.marks[field] ?? {});
    const reference = this.reference(node, field);
    const fresh = this.isNew(node.fields.get(field));
    const before = fresh ? this.entriesBefore(node.name, field) : null;
    const cells = indices.map((index) => {
      const entry = entryAt(log, index);
      const [number, whole] = entry ?? [null, null];
      const look = number === null ? null : LOOKS.cells[((number % LOOKS.cells.length) + LOOKS.cells.length) % LOOKS.cells.length];
      const other = reference === undefined ? undefined : entryAt(reference?.log, index);
      const differs = reference !== undefined && (other?.[1] ?? null) !== whole;
      const cell = html("td", {
        tabindex: "-1", "data-index": index, "data-differs": differs, title: whole,
        "data-changed": fresh && (entryAt(before, index)?.[1] ?? null) !== whole,
        "data-marks": marks.slice(0, 2).map(([, reached], at) => (index <= reached ? at + 1 : "")).join("") || null,
        style: look && `background:${look.colour};color:${look.ink}`,
      }, number === null ? "" : String(number));
      const reached = marks.filter(([, count]) => index <= count).map(([word]) => word);
      cell.words = entry ? `${node.name}.${field} ${index}: ${whole}${reached.length ? ` (${reached.join(", ")})` : ""}${differs ? `; differs from ${other?.[1] ?? "nothing"}` : ""}` : `${node.name}.${field} ${index}: no entry`;
      return cell;
    });
    const words = marks.map(([word, reached], at) => html("span", { class: `cl-mark${Math.min(at, 1) + 1}` }, `${word} ${reached}`));
    return html("tr", { "data-node": node.name }, this.nodeHead(node, "row"), ...cells, html("td", { class: "cl-marks" }, ...words));
  }

  // A log as it was before the newest change.
  entriesBefore(name, field) {
    const { values } = this;
    const before = values.copyAt(this.newest - 1).get(name)?.fields.get(field)?.log ?? null;
    values.at(this.view.cursor.seq);
    return before;
  }

  // --- reading a cell ---

  tell(target) {
    const cell = target.closest?.("td");
    if (cell?.words) putText(this.said, cell.words);
  }

  // One cell can be reached by the keyboard: the one that it was on last.
  rove() {
    const [r, c] = this.active ?? [0, 0];
    const row = this.grid[Math.min(r, this.grid.length - 1)];
    row?.[Math.min(c, row.length - 1)]?.setAttribute("tabindex", "0");
  }

  key(event) {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const r = this.grid.findIndex((row) => row.includes(event.target));
    if (!step || r < 0) return;
    const row = Math.max(0, Math.min(this.grid.length - 1, r + step[0]));
    const column = Math.max(0, Math.min(this.grid[row].length - 1, this.grid[r].indexOf(event.target) + step[1]));
    event.target.setAttribute("tabindex", "-1");
    this.active = [row, column];
    this.grid[row][column].setAttribute("tabindex", "0");
    this.grid[row][column].focus();
    event.preventDefault();
    event.stopPropagation();
  }
}

// Make `old` look like `fresh` and touch only what differs, so that little is laid out anew and the focus stays.
function morph(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  old.words = fresh.words;
  const [here, there] = [[...old.childNodes], [...fresh.childNodes]];
  const alike = here.length === there.length && here.every((node, i) => node.nodeName === there[i].nodeName);
  if (!alike) old.replaceChildren(...there);
  else here.forEach((node, i) => {
    if (node.nodeType === Node.ELEMENT_NODE) morph(node, there[i]);
    else if (node.data !== there[i].data) node.data = there[i].data;
  });
}

PANELS.push((view) => new StatePanel(view));
