// What can be done to a node, a link and a message: items of a menu, as commands for the kernel.

const SLOW = 20; // a slow link takes so many times as long as is typical
const SKEW_MS = 500;

function nodeActs(node, hands) {
  const { name } = node;
  const act = (words, command) => [words, () => hands.command({ ...command, node: name })];
  const items = [];
  if (node.dead) {
    items.push(act("Restart", { do: "restart", disk: "keep" }), act("Restart without its disk", { do: "restart", disk: "lose" }));
  } else {
    items.push(act("Kill", { do: "kill" }), node.paused ? act("Resume", { do: "resume" }) : act("Pause", { do: "pause" }));
    if (!node.isolated) items.push(act("Isolate", { do: "isolate" }));
    items.push(["Link to …", () => hands.beginLink(name)]);
  }
  const skew = (words, offset_ms, rate) => act(words, { do: "skew", offset_ms, rate });
  items.push(
    skew(`Clock ${SKEW_MS} ms ahead`, SKEW_MS, 1), skew(`Clock ${SKEW_MS} ms behind`, -SKEW_MS, 1),
    skew("Clock half as fast again", 0, 1.5), skew("Clock at half speed", 0, 0.5));
  if (node.rate !== 1 || node.offset) items.push(skew("True clock", 0, 1));
  return items;
}

function linkActs(src, dst, model, hands) {
  const act = (words, conditions, from = src, to = dst) => [words, () => hands.command({ do: "link", src: from, dst: to, ...conditions })];
  const slow = Math.max(1, Math.round(model.typicalMs * SLOW));
  const items = [
    act("Cut both ways", { both: true, block: true }), act(`Cut ${src} → ${dst}`, { block: true }), act(`Cut ${dst} → ${src}`, { block: true }, dst, src),
    act(`Slow: ${slow} ms`, { both: true, delay_ms: [slow, slow] }), act("Lossy: half is lost", { both: true, loss: 0.5 }),
    act("Half arrives twice", { both: true, duplicate: 0.5 }),
  ];
  const bad = [[src, dst], [dst, src]].some(([from, to]) => model.links.has(`${from}\u0000${to}`));
  return bad ? [...items, act("Heal this link", { both: true })] : items;
}

function messageActs(m, hands) {
  const act = (words, what) => [words, () => hands.command({ do: what, message: m.seq })];
  return [isHeld(m) ? act("Release", "release") : act("Hold", "hold"), act("Drop", "drop"), act("Duplicate", "duplicate")];
}
