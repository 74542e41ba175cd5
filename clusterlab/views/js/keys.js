// What a key does in a picture; returns whether it did anything. The diagram has keys of its own.

function keyPressed(view, event, name) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !view.clock) return false;
  const { target, key } = event;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return false;
  const onNode = Boolean(target.closest?.(".cl-node"));
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  if (onNode && step) view.stage.nodes.focusNext(name, step);
  else if (onNode && (key === "Enter" || key === " ")) view.touch(name);
  else if (key === " " && target.tagName === "BUTTON") return false;
  else if (KEYS_OF_VIEW[key]) KEYS_OF_VIEW[key](view);
  else return keyOnNode(view, key, name);
  return true;
}

const KEYS_OF_VIEW = {
  " ": (view) => view.play(),
  ".": (view) => view.step(1),
  ",": (view) => view.step(-1),
  Home: (view) => view.seek(0),
  End: (view) => view.toEnd(),
  "/": (view) => view.box.input.focus(),
  n: (view) => view.jump(1),
  N: (view) => view.jump(-1),
  "?": (view) => view.help.toggle(),
  Escape(view) {
    view.help.toggle(false);
    view.stage.select(null);
    view.choose(null);
  },
};

function keyOnNode(view, key, name) {
  const node = name === null ? null : view.model.nodes.get(name);
  const action = { k: "kill", r: "restart", l: "restart-lose", i: "isolate" }[key];
  if (key === "h" && view.live) view.command({ do: "heal" });
  else if (node && key === "p") view.act(node.paused ? "resume" : "pause", name);
  else if (node && action) view.act(action, name);
  else return false;
  return true;
}
