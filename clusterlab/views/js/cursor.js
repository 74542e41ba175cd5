// The one cursor of a run: the moment that all views of it show.
//
// cursor.atMs, cursor.seq    the time that is shown, and the newest record that has happened by then (-1: none)
// cursor.live                whether the views follow a running cluster
// cursor.subscribe(listen)   calls listen(cursor, by) now and after each move; returns what ends that
// cursor.move(moment, by)    to {atMs, seq, live}; `by` is who moved it, so that nobody answers himself
//
// A view beside the stage and the tape is a panel: PANELS.push((view) => ({ element, update(view), destroy() })).
// The element stands between the tape and the sentence. update is called when the cursor moved or records came,
// at most once a frame; destroy when the picture closes or gets another past. A panel reads
//   view.cursor                 this
//   view.timeline.records       the records received so far; view.timeline.count of them have happened at the cursor
//   view.timeline.seek(seq)     how many have happened when `seq` has
//   view.model                  nodes, links and messages on their way at the cursor
//   view.goTo(seq)              moves the cursor to just after this record
//   view.past                   all that the kernel sent at the beginning
//   new Checkpoints(view.timeline, { start, apply, copy }).at(count)   a fold of its own, quick to scrub; see timeline.js

const PANELS = [];

class Cursor {
  constructor() {
    Object.assign(this, { atMs: 0, seq: -1, live: false });
    this.listeners = new Set();
  }

  subscribe(listen) {
    this.listeners.add(listen);
    listen(this, null);
    return () => this.listeners.delete(listen);
  }

  move({ atMs, seq, live }, by = null) {
    if (atMs === this.atMs && seq === this.seq && live === this.live) return;
    Object.assign(this, { atMs, seq, live });
    for (const listen of [...this.listeners]) listen(this, by);
  }
}

// The pictures of one run in a page share its cursor, whatever cell or widget they stand in.
function cursorOf(run) {
  const shared = (window[Symbol.for("clusterlab.cursors")] ??= new Map());
  if (run === null || run === undefined) return new Cursor();
  if (!shared.has(run)) shared.set(run, new Cursor());
  return shared.get(run);
}
