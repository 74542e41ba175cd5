// The transport: play, pause, step, scrub and speed, alike for a recorded run and for a cluster that runs.

const SCRUB = 1000; // the length of the bar; any part of it can be chosen
const CHANGES_STATE = new Set(["state", "save", "start", "kill", "restart", "error"]);
const HAPPENS = new Set(["deliver", "drop", "fire", "note", "invoke", "return", ...FAULTS]);
// What the arrows step over: a text, and whether a record is such a stop in this view.
const STOPS_AT = {
  event: ["event", (r) => HAPPENS.has(r.kind)],
  delivery: ["delivery", (r) => r.kind === "deliver"],
  state: ["change of state", (r) => CHANGES_STATE.has(r.kind)],
  violation: ["violation", (r, view) => r.kind === "error" || r.seq === view.finding?.seq],
};

// The seq of the next stop after `seq` (by = 1) or of the one before it (by = -1), or undefined.
function nextStop(view, kind, seq, by) {
  const { records } = view.timeline;
  const [, isStop] = STOPS_AT[kind];
  const first = by > 0 ? view.timeline.seek(seq) : view.timeline.indexOf(seq) - 1;
  for (let i = first; i >= 0 && i < records.length; i += by) if (isStop(records[i], view)) return records[i].seq;
  return undefined;
}

class Transport {
  constructor({ live, canPace, speed }, on) {
    this.live = live;
    this.canPace = canPace;
    this.on = on; // {play(), step(by), seek(share), speed(value), follow()}
    const button = (action, text, title, press) => html("button", {
      type: "button", class: "cl-button cl-small", "data-do": action, title, "aria-label": title, text, onclick: press,
    });
    this.play = button("play", "", "", on.play);
    this.over = html("select", { class: "cl-speed", "data-do": "over", "aria-label": "what ‹ and › step over", title: "what ‹ and › step over" },
      ...Object.entries(STOPS_AT).map(([value, [text]]) => html("option", { value, text })));
    this.slider = html("input", {
      type: "range", class: "cl-slider", "data-do": "seek", min: 0, max: SCRUB, step: "any", value: 0, "aria-label": "moment of the run",
      oninput: () => on.seek(this.slider.valueAsNumber / SCRUB),
    });
    this.speeds = html("select", { class: "cl-speed", "data-do": "speed", "aria-label": "speed", title: "ms of the cluster's time for each ms of yours", onchange: () => on.speed(Number(this.speeds.value)) },
      ...[...new Set([...SPEEDS, speed])].sort((a, b) => a - b).map((s) => html("option", { value: s, text: `${s}×`, selected: s === speed })));
    this.now = button("live", "● Live", "Follow the cluster again (End)", on.follow);
    this.time = html("span", { class: "cl-time" });
    this.element = html("div", { class: "cl-transport cl-player", role: "group", "aria-label": "player" },
      button("step-back", "‹", "Step back (,)", () => on.step(-1)), this.play, button("step", "›", "Step on (.)", () => on.step(1)),
      this.over, this.slider, this.time, this.speeds, live ? this.now : null);
  }

  update(clock) {
    const words = clock.moving ? ["Pause", this.live ? "Stand still; the cluster goes on (space)" : "Stop playing (space)"] : ["Play", "Play on from here (space)"];
    putText(this.play, words[0]);
    put(this.play, "title", words[1]);
    put(this.play, "aria-label", words[1]);
    put(this.now, "aria-pressed", clock.following);
    // While it follows, the pace is the cluster's; a simulation's can be chosen.
    this.speeds.hidden = clock.following && !this.canPace;
    const length = Math.max(1e-9, clock.to - clock.from);
    const value = (SCRUB * (clock.shown - clock.from)) / length;
    if (document.activeElement !== this.slider || clock.moving) this.slider.value = value;
    put(this.slider, "aria-valuetext", msText(clock.shown));
    putText(this.time, msText(clock.shown));
  }
}

// What the window of the diagram shows, and the pictures as files.
class WindowTools {
  constructor(tape, on) {
    this.tape = tape;
    const button = (action, text, title, press) => html("button", {
      type: "button", class: "cl-button cl-small", "data-do": action, title, "aria-label": title, text, onclick: press,
    });
    this.now = button("now", "To the cursor", "Let the diagram follow the cursor again", () => { tape.edge = null; });
    this.back = button("unbrush", "Back", "Show what was shown before (Escape)", () => tape.leave());
    this.element = html("div", { class: "cl-transport", role: "group", "aria-label": "window of the diagram" }, this.now, this.back,
      button("zoom-out", "−", "Show more time (−)", () => tape.zoomBy(1 / 1.6)),
      button("zoom-in", "+", "Show less time (+)", () => tape.zoomBy(1.6)),
      button("fit", "All", "Show the whole run (0)", () => tape.show(tape.on.from(), tape.on.to())),
      button("svg", "SVG", "Save what the diagram shows as SVG", () => on.svg("tape")),
      button("svg-stage", "SVG of the nodes", "Save the picture of the nodes as SVG", () => on.svg("stage")));
  }

  update() {
    this.now.hidden = this.tape.following;
    this.back.hidden = !this.tape.windows.length;
  }
}
