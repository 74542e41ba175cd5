// Which moment of cluster time is shown. A live picture follows the cluster a moment behind,
// so that it moves evenly though records come in batches; a recorded one plays at the speed one chooses.

const LAG_MS = 30; // of real time: two batches
const CATCH_UP_MS = 150; // a picture that is behind catches up with this time constant
const STALE_MS = 300; // after so long without news the cluster is taken to stand still

class LiveClock {
  constructor(nowMs) {
    this.shown = nowMs;
    this.newest = nowMs;
    this.newestAt = performance.now();
    this.samples = [];
    this.rate = 0; // ms of cluster time per ms of real time
  }

  heard(nowMs) {
    const at = performance.now();
    this.newest = Math.max(this.newest, nowMs);
    this.newestAt = at;
    this.samples.push([at, nowMs]);
    while (this.samples[0][0] < at - 2000) this.samples.shift();
    const [first, last] = [this.samples[0], this.samples[this.samples.length - 1]];
    // A cluster that is stepped by hand jumps now and then: that is no speed.
    const steady = this.samples.length >= 8 && last[0] - first[0] > 400;
    this.rate = steady ? Math.max(0, (last[1] - first[1]) / (last[0] - first[0])) : 0;
  }

  tick(dt) {
    const since = performance.now() - this.newestAt;
    const stale = since > STALE_MS;
    if (stale) this.rate = 0;
    // Never ahead of what was heard: what came after it would be shown too late.
    const target = stale ? this.newest : this.newest + this.rate * Math.min(0, since - LAG_MS);
    const behind = target - this.shown;
    if (behind > 0) {
      const step = Math.min(behind, this.rate * dt);
      this.shown += step + (behind - step) * (1 - Math.exp(-dt / CATCH_UP_MS));
      if (this.rate === 0 && target - this.shown < 0.01) this.shown = target;
    }
    return this.shown;
  }

  toNow() {
    this.shown = Math.max(this.shown, this.newest - this.rate * LAG_MS);
  }
}

// What moves the cursor: it follows a running cluster, or plays what was recorded so far at a speed of its own.
class Clock {
  constructor(timeline, { live, nowMs, rate }) {
    this.timeline = timeline;
    this.present = live ? new LiveClock(nowMs) : null;
    this.following = live;
    this.playing = false;
    this.replay = rate; // ms of cluster time for each ms of the watcher's
    this.shown = live ? nowMs : timeline.from;
  }

  get from() { return this.timeline.from; }

  get to() { return Math.max(this.from, this.timeline.to, this.present?.newest ?? 0); }

  get moving() { return this.following || this.playing; }

  get rate() { return this.following ? this.present.rate : this.replay; }

  get newest() { return this.present.newest; }

  heard(nowMs) { this.present.heard(nowMs); }

  tick(dt) {
    const now = this.present?.tick(dt);
    if (this.following) this.shown = now;
    else if (this.playing) {
      const end = this.present ? now : this.to;
      this.shown = Math.min(Math.max(end, this.shown), this.shown + this.replay * dt);
      if (this.shown >= end) this.arrive();
    }
    return this.shown;
  }

  // The end of what there is to play: of a running cluster that is the present.
  arrive() {
    this.playing = false;
    this.following = this.present !== null;
  }

  // Stand still at a moment.
  hold(atMs = this.shown) {
    this.following = this.playing = false;
    this.shown = Math.max(this.from, Math.min(this.to, atMs));
  }

  play() {
    if (this.shown >= this.to && this.present) this.follow();
    else {
      if (this.shown >= this.to) this.shown = this.from;
      this.playing = true;
    }
  }

  follow() {
    this.playing = false;
    this.following = true;
    this.present.toNow();
    this.shown = this.present.shown;
  }
}

// A speed at which a typical message is seen for a third of a second.
const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

function watchableSpeed(records) {
  const delays = records.filter((r) => r.kind === "send" && r.data.delay_ms).map((r) => r.data.delay_ms).sort((a, b) => a - b);
  if (!delays.length) return 0.1;
  const wanted = delays[delays.length >> 1] / 300;
  return SPEEDS.reduce((best, s) => (Math.abs(Math.log(s / wanted)) < Math.abs(Math.log(best / wanted)) ? s : best));
}
