// What the bench runs in the page: frames are counted where they are drawn, times are those of the wall clock (ms).
window.bench = (() => {
  const wall = () => performance.timeOrigin + performance.now();
  const views = () => [...document.querySelectorAll(".clusterlab-view")].map((root) => root.parentElement.clusterView).filter(Boolean);
  const latest = () => views().at(-1);
  const drawn = (view) => Boolean(view?.model && view.cursor);
  // After the frame was painted: a message that is posted in it arrives when the main thread is free again.
  const painted = (then) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => then(wall());
    channel.port2.postMessage(0);
  };
  // Calls each(frame number) before every frame, for so many seconds; returns the times of the paints.
  const frames = (seconds, each) => new Promise((done) => {
    const times = [], from = performance.now();
    const tick = () => {
      if (performance.now() - from > seconds * 1000) return done(times);
      const value = each(times.length);
      painted((at) => times.push([at, value]));
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  return {
    ready: () => drawn(latest()),
    // When each frame was on the screen, and the newest record in it.
    watch: (seconds) => frames(seconds, () => latest().cursor.seq),
    flying: () => latest().model.flying?.size ?? 0,
    // Resolves with the time at which a view beyond the present ones has drawn its first frame.
    opening: () => {
      const before = new Set(views());
      window.bench.opened = new Promise((done) => {
        const look = () => {
          const view = views().find((each) => !before.has(each));
          if (drawn(view)) painted(done); else requestAnimationFrame(look);
        };
        look();
      });
    },
    // Another moment of the run in each frame, back and forth.
    scrub: (seconds) => {
      const view = latest(), { from, to } = view.clock;
      return frames(seconds, (i) => {
        const share = Math.abs(((i * 0.013) % 2) - 1);
        view.seek(share);
        return view.cursor.seq;
      });
    },
    // When a node was pressed.
    clicks: () => {
      window.bench.clicked = [];
      document.addEventListener("click", () => window.bench.clicked.push(wall()), { capture: true });
    },
  };
})();
