// Two thousand events a second into the view; returns what the work of a frame took.
async ({ events_per_s, seconds }) => {
  const view = document.getElementById("clusterlab").clusterView;
  const names = ["n1", "n2", "n3", "n4", "n5"], pending = [], work = [];
  const draw = view.draw.bind(view);
  view.draw = (...given) => {
    const from = performance.now();
    draw(...given);
    work.push(performance.now() - from);
  };
  const begun = performance.now();
  let seq = 1000, made = 0;
  const next = (at_ms) => {
    const first = pending[0];
    if (first && first.at_ms + 10 <= at_ms) {
      pending.shift();
      return { node: first.dst, kind: "deliver", data: { src: "n1" }, cause: first.seq };
    }
    const dst = names[(made * 3 + 1) % 5];
    pending.push({ seq, at_ms, dst });
    return { node: names[(made * 3) % 5], kind: "send", data: { dst, type: `T${made % 4}`, text: "", delay_ms: 10 }, cause: null };
  };
  while (performance.now() < begun + seconds * 1000) {
    const records = [];
    for (; made < ((performance.now() - begun) / 1000) * events_per_s; made++, seq++) {
      const at_ms = (made / events_per_s) * 50;
      records.push({ seq, at_ms, ...next(at_ms) });
    }
    const now_ms = (performance.now() - begun) / 20;
    window.clusterlab.channel.tell({ type: "records", records: JSON.stringify(records), clients: [], now_ms });
    await new Promise((done) => setTimeout(done, 33));
  }
  const late = work.slice(work.length >> 1).sort((a, b) => a - b);
  return { median_ms: late[late.length >> 1], messages: view.history.messages.length };
}
