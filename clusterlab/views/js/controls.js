// The buttons, the bar of the chosen node, the legend and the sentence that says what happened.

const TOOLS = [
  ["kill", "Kill / restart", "A click kills a node, or restarts a dead one"],
  ["pause", "Pause / resume", "A click pauses a node, or lets a paused one go on"],
  ["isolate", "Isolate", "A click pulls a node's network cable; Heal plugs it in again"],
  ["cut", "Cut", "Draw a line: the nodes on either side of it are cut off from each other"],
  ["select", "Select", "A click only chooses a node"],
];
const SAY_EVERY_MS = 900;
const ERROR_STAYS_MS = 7000;

function crownIcon() {
  return svg("svg", { class: "cl-icon", viewBox: "-13 -10 26 18", width: 15, height: 11, "aria-hidden": "true" },
    svg("path", { d: CROWN }));
}

// What a click with a tool does to a node, as the command for the kernel.
function commandFor(tool, node) {
  if (tool === "kill") return node.dead ? { do: "restart", node: node.name, disk: "keep" } : { do: "kill", node: node.name };
  if (tool === "pause") return { do: node.paused ? "resume" : "pause", node: node.name };
  if (tool === "isolate") return { do: "isolate", node: node.name };
  return null;
}

// Two sides of a cluster, neighbours on the ring: with the leader in the larger or in the smaller one.
function sidesFor(servers, leader, leaderIn) {
  const count = servers.length;
  const minority = Math.floor(count / 2);
  const at = Math.max(0, servers.indexOf(leader));
  const start = leaderIn === "minority" ? at : at + Math.ceil((count - minority + 1) / 2);
  const small = new Set(Array.from({ length: minority }, (_, i) => (start + i) % count));
  return [servers.filter((_, i) => small.has(i)), servers.filter((_, i) => !small.has(i))];
}

class Toolbar {
  constructor(on) {
    this.on = on; // {command(content), speed(value)}
    this.tool = "kill";
    this.tools = TOOLS.map(([tool, text, title]) => html("button", {
      type: "button", class: "cl-button", "data-tool": tool, "aria-pressed": String(tool === this.tool), title, text,
      onclick: () => this.choose(tool),
    }));
    const cut = (side) => html("button", {
      type: "button", class: "cl-button", "data-do": "partition", "data-side": side,
      onclick: () => this.on.cut(side),
    });
    this.cuts = { majority: cut("majority"), minority: cut("minority") };
    this.heal = html("button", {
      type: "button", class: "cl-button", "data-do": "heal", title: "Make the network whole again (h)", text: "Heal",
      onclick: () => this.on.command({ do: "heal" }),
    });
    this.element = html("div", { class: "cl-toolbar" },
      html("span", { class: "cl-caption", text: "Click on a node" }),
      html("div", { class: "cl-segments", role: "group", "aria-label": "what a click on a node does" }, ...this.tools),
      html("span", { class: "cl-spring" }),
      html("span", { class: "cl-caption", text: "Partition" }),
      html("div", { class: "cl-actions" },
        html("div", { class: "cl-segments", role: "group", "aria-label": "cut the network in two" }, this.cuts.majority, this.cuts.minority),
        this.heal));
  }

  choose(tool) {
    this.tool = tool;
    for (const button of this.tools) put(button, "aria-pressed", button.dataset.tool === tool);
  }

  update(model) {
    const servers = model.servers;
    const leader = model.leader();
    const small = Math.floor(servers.length / 2), large = servers.length - small;
    const key = `${small} ${large} ${Boolean(leader)}`;
    for (const button of Object.values(this.cuts)) button.disabled = servers.length < 2;
    if (key === this.key) return;
    this.key = key;
    const crown = () => (leader ? crownIcon() : null);
    const parts = (...children) => children.filter((child) => child !== null);
    this.cuts.majority.replaceChildren(...parts(`${small} | `, crown(), `${large}`));
    this.cuts.minority.replaceChildren(...parts(crown(), `${small} | ${large}`));
    const where = leader ? "the leader stays with" : "neighbours in a side of";
    for (const [side, size] of [["majority", large], ["minority", small]]) {
      const text = `Cut the network into ${small} and ${large}: ${where} ${size}`;
      put(this.cuts[side], "title", text);
      put(this.cuts[side], "aria-label", text);
    }
  }
}

// The bar of the chosen node: what can be done to it, each with its key.
class NodeBar {
  constructor(live, on) {
    this.live = live;
    this.on = on;
    const button = (action, text, key, extra) => html("button", {
      type: "button", class: "cl-button", "data-do": action, ...extra, onclick: () => this.on(action),
    }, text, html("kbd", { text: key }));
    this.buttons = {
      kill: button("kill", "Kill", "k"),
      restart: button("restart", "Restart", "r"),
      "restart-lose": button("restart-lose", "Restart without disk", "l"),
      pause: button("pause", "Pause", "p"),
      resume: button("resume", "Resume", "p"),
      isolate: button("isolate", "Isolate", "i"),
    };
    this.name = html("strong", { class: "cl-chosen" });
    this.words = html("span", { class: "cl-chosenwords" });
    this.idle = html("span", { class: "cl-idle", text: live
      ? "Tab and the arrow keys move among the nodes. k kills, r restarts, p pauses, i isolates, h heals."
      : "A recorded run. Comma and full stop step through its events; choose a node to read its state, a message for what led to it." });
    this.group = html("div", { class: "cl-actions", role: "group", "aria-label": "actions on the chosen node" }, ...Object.values(this.buttons));
    this.element = html("div", { class: "cl-bar" }, this.idle, this.name, this.words, html("span", { class: "cl-spring" }), this.group);
  }

  update(model, stage) {
    const node = model.nodes.get(stage.selected);
    for (const part of [this.name, this.words]) part.hidden = !node;
    this.group.hidden = !node || !this.live;
    this.idle.hidden = Boolean(node);
    if (!node) return;
    putText(this.name, node.name);
    putText(this.words, [nodeWords(node), node.dead ? "" : node.label].filter(Boolean).join(" · "));
    const can = {
      kill: !node.dead, restart: node.dead, "restart-lose": node.dead,
      pause: !node.dead && !node.paused, resume: node.paused, isolate: !node.isolated,
    };
    for (const [action, button] of Object.entries(this.buttons)) button.hidden = !can[action];
  }
}

// The sentence under the picture; a screen reader speaks it. It changes at most about once a second.
class Status {
  constructor() {
    this.element = html("div", { class: "cl-status", role: "status", "aria-live": "polite" });
    this.waiting = new Map();
    this.saidAt = -Infinity;
  }

  say(key, words) {
    this.waiting.delete("asked"); // something happened: no need to say that it was asked for
    this.waiting.delete(key); // the newest of a kind is told last
    this.waiting.set(key, words);
    while (this.waiting.size > 4) this.waiting.delete(this.waiting.keys().next().value);
  }

  error(words) {
    this.waiting.clear();
    this.write(words, true);
    this.saidAt = performance.now() + ERROR_STAYS_MS - SAY_EVERY_MS;
  }

  flush() {
    if (!this.waiting.size || performance.now() - this.saidAt < SAY_EVERY_MS) return;
    const text = [...this.waiting.values()].join("; ");
    this.waiting.clear();
    this.write(`${text}.`, false);
    this.saidAt = performance.now();
  }

  write(text, isError) {
    this.element.classList.toggle("cl-error", isError);
    this.element.textContent = text;
  }
}

// Which shape is which type of message, and, where nodes are too many for words beside them, which is which role.
class Legend {
  constructor() {
    this.element = html("div", { class: "cl-legend", role: "list", "aria-label": "shapes of messages and nodes" });
    this.key = "";
  }

  update(history, theme) {
    const { roles: all, types } = history;
    const roles = history.lanes.size > CROWD ? all : [];
    const key = JSON.stringify([roles, types, theme.dark]);
    if (key === this.key) return;
    this.key = key;
    const bodies = roles.map((role) => {
      const look = roleLook(role, all);
      const body = svg("path", { d: bodyPath(look, 6), fill: look.colour });
      return html("span", { class: "cl-legenditem", role: "listitem" },
        svg("svg", { viewBox: "-8 -8 16 16", width: 15, height: 15, "aria-hidden": "true" }, body), html("span", { text: role }));
    });
    this.element.replaceChildren(...bodies, ...types.map((name, type) => {
      const look = messageLook(type);
      const colour = onGround(look.colour, theme);
      const shape = look.corners.length
        ? svg("polygon", { points: look.corners.map(([x, y]) => `${x * 5},${y * 5}`).join(" "), fill: colour })
        : svg("circle", { r: 5, fill: colour });
      return html("span", { class: "cl-legenditem", role: "listitem" },
        svg("svg", { viewBox: "-7.5 -7.5 15 15", width: 13, height: 13, "aria-hidden": "true" }, shape), html("span", { text: name }));
    }));
  }
}

