// The keys, on "?".

const HELP = [
  ["space", "play or pause"], [", .", "step back or on"], ["Home End", "the beginning; the end, or the cluster as it is now"],
  ["/", "jump to an event; n and N: the next hit, the one before"],
  ["Tab, arrows", "go among the nodes, then among the messages; Enter opens the menu of one"],
  ["space on nodes, Shift P", "choose nodes, and cut them off from the others"], ["Ctrl Z", "take back what was done last by hand"],
  ["k r l p i", "kill, restart, restart without its disk, pause or resume, isolate the chosen node"], ["h", "heal the network"],
  ["[ ]", "in the diagram: choose the event before or after; with shift of the same node; Enter goes there"],
  ["← → + − 0", "in the diagram: look back or forth, zoom, show the whole run"],
  ["Esc", "choose nothing; in the diagram back from a brush"], ["?", "show or hide these keys"],
];

class Help {
  constructor() {
    this.button = html("button", {
      type: "button", class: "cl-button cl-small", "data-do": "help", "aria-expanded": "false", "aria-label": "keys", title: "The keys (?)", text: "?", onclick: () => this.toggle(),
    });
    this.element = html("section", { class: "cl-help", "aria-label": "keys", hidden: true },
      html("dl", {}, ...HELP.flatMap(([keys, text]) => [html("dt", {}, html("kbd", { text: keys })), html("dd", { text })])),
      html("p", { text: SEARCH_HELP }));
  }

  get open() { return !this.element.hidden; }

  toggle(open = !this.open) {
    this.element.hidden = !open;
    put(this.button, "aria-expanded", open);
  }
}
