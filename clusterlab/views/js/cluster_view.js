// One picture in the page: it takes records from the kernel, shows a moment of them, and sends commands back.

const APPLY_AT_ONCE = 40000; // records that wait for their moment; a page in the background lets them pile up
const CAUSES_LIMIT = 40000; // records of a live run in which causes are looked for
const KNOCK_MS = 400;
const STEP_MS = 500; // the steps of a picture that must not move
let views = 0;

class ClusterView {
  constructor(model, el) {
    this.channel = model;
    this.id = `${Date.now().toString(36)}-${views++}`;
    this.queue = [];
    this.next = 0; // the first record of the queue that is not applied yet
    this.lastSeq = -1;
    this.root = html("div", {
      class: "clusterlab-view", "data-lm-suppress-shortcuts": "true", role: "region", "aria-label": "picture of a cluster",
      onkeydown: (event) => this.key(event, this.stage?.selected ?? null),
    });
    this.status = new Status();
    this.status.write("Waiting for the kernel …", false);
    this.root.append(this.status.element);
    el.append(this.root);
    this.width = this.root.clientWidth;
    this.motion = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.hear = (content) => this.receive(content);
    this.resized = new ResizeObserver(() => { this.width = this.root.clientWidth; });
    this.resized.observe(this.root);
    model.on("msg:custom", this.hear);
    // Said again until it is heard: a first message waits in the kernel's main line while a cell runs,
    // later ones find the line beside it that the page opens for a widget (a subshell).
    this.knock = () => model.send({ do: "ready", view: this.id });
    this.knocking = setInterval(this.knock, KNOCK_MS);
    this.knock();
    this.frame = requestAnimationFrame((t) => this.tick(t));
  }

  close() {
    cancelAnimationFrame(this.frame);
    clearInterval(this.knocking);
    this.resized.disconnect();
    this.channel.off("msg:custom", this.hear);
    this.channel.send({ do: "bye", view: this.id });
    this.root.remove();
  }

  // --- from the kernel ---

  receive(content) {
    // Its own past comes once (a knock may be answered twice), a past for all replaces what is shown.
    if (content.type === "past" && (this.model ? content.to === null : content.to === this.id)) this.begin(content);
    else if (!this.model) return;
    else if (content.type === "records") this.add(content);
    else if (content.type === "error") this.status.error(content.text);
    else if (content.type === "said") this.status.say("kernel", content.text);
  }

  begin(past) {
    clearInterval(this.knocking);
    const again = Boolean(this.model);
    this.past = past;
    this.base = JSON.parse(past.base);
    this.records = JSON.parse(past.records);
    this.live = past.live;
    this.model = new Model(past);
    this.moments = null;
    if (!again) this.build(past);
    this.tape.chosen = null;
    this.restart();
    if (this.live) {
      const frozen = again && this.clock.frozen;
      this.clock = new LiveClock(past.now_ms);
      this.clock.frozen = frozen;
      this.records.forEach((r) => this.queue.push(r));
      this.applyUntil(past.now_ms, false);
    } else if (!again) {
      const times = this.records.map((r) => r.at_ms);
      const from = times.length ? times[0] : 0;
      this.clock = new RecordedClock(from, times.reduce((a, b) => Math.max(a, b), from), this.speed);
      this.seek(past.start === "end" ? 1 : 0);
      this.clock.playing = past.start === "play" && !this.motion.matches;
    }
    if (past.left_out) this.status.write(`Shown are the newest ${this.records.length.toLocaleString("en-US")} records; ${past.left_out.toLocaleString("en-US")} older ones are left out.`, false);
    else this.status.write("", false);
  }

  build(past) {
    this.speed = this.live ? past.speed ?? 1 : watchableSpeed(this.records);
    this.toolbar = new Toolbar(this.live, { command: (c) => this.command(c), cut: (side) => this.cut(side) });
    this.stage = new Stage({
      choose: (name) => this.choose(name),
      key: (event, name) => this.key(event, name),
      focus: (name) => this.stage.select(name),
    });
    this.bar = new NodeBar(this.live, (action) => this.act(action, this.stage.selected));
    this.legend = new Legend();
    this.tape = new Tape({ pick: (message) => this.pick(message) });
    this.transport = new Transport(this.live, past.can_pace, this.speed, {
      play: () => this.play(), step: (by) => this.step(by), seek: (share) => this.seek(share), zoom: (factor) => this.tape.zoomBy(factor),
      follow: () => { this.tape.back = null; }, speed: (value) => this.pace(value),
    });
    const player = this.live ? null : html("div", { class: "cl-toolbar cl-player" }, this.transport.element);
    const side = html("div", { class: "cl-transport" }, this.live ? this.transport.element : "", this.transport.zoom);
    this.root.replaceChildren(
      player ?? this.toolbar.element, this.stage.element, this.bar.element,
      html("div", { class: "cl-tapehead" }, this.legend.element, html("span", { class: "cl-spring" }), side),
      this.tape.element, this.status.element);
  }

  // The picture before the first record.
  restart() {
    this.model.reset();
    this.queue = [];
    this.next = 0;
    this.lastSeq = -1;
    for (const r of this.base) this.applyOne(r, null);
    this.model.version++;
  }

  add(content) {
    for (const name of content.clients) this.model.node(name, true).client = true;
    for (const r of JSON.parse(content.records)) if (r.seq > (this.queue[this.queue.length - 1]?.seq ?? this.lastSeq)) {
      this.queue.push(r);
      this.records.push(r);
    }
    if (this.records.length > CAUSES_LIMIT) this.records.splice(0, CAUSES_LIMIT / 4);
    this.clock.heard(content.now_ms);
    if (this.queue.length - this.next > APPLY_AT_ONCE) this.applyUntil(Infinity, false);
  }

  applyOne(r, say) {
    this.lastSeq = r.seq;
    this.model.apply(r, say);
  }

  // Records of different nodes are in the order of causes, so the first that is not due holds back the rest.
  applyUntil(now, aloud) {
    const say = aloud ? (key, words) => this.status.say(key, words) : null;
    while (this.next < this.queue.length && this.queue[this.next].at_ms <= now) this.applyOne(this.queue[this.next++], say);
    for (const m of this.model.landed(now)) if (aloud) this.stage.lost(this.model, m);
    for (const m of this.model.arrived.splice(0)) if (aloud) this.stage.arrived(m, this.clock.rate);
    if (this.live && this.next > 5000) {
      this.queue.splice(0, this.next);
      this.next = 0;
      this.model.trim();
    }
  }

  // --- to the kernel ---

  command(content) {
    if (!this.live) return;
    this.channel.send(content);
    const what = content.do === "partition" ? "cut" : content.do;
    this.status.say("asked", `${what}${content.node ? ` ${content.node}` : ""} …`);
  }

  act(action, name) {
    if (name === null || !this.model.nodes.has(name)) return;
    if (action === "restart-lose") this.command({ do: "restart", node: name, disk: "lose" });
    else if (action === "restart") this.command({ do: "restart", node: name, disk: "keep" });
    else this.command({ do: action, node: name });
  }

  // Show what led to a message and what followed from it; again, or beside all messages: show all.
  pick(message) {
    if (!message || message.seq === this.tape.chosen?.seq) {
      if (this.tape.chosen) this.status.write("", false);
      this.tape.chosen = null;
      return;
    }
    const cone = this.tape.chosen = lightCone(this.records, message);
    this.status.write(`${messageWords(message).split("\n").slice(0, 2).join(" ")}: ${messages(cone.before.size)} led to it (solid), ${messages(cone.after.size)} followed from it (dashed).`, false);
  }

  choose(name) {
    this.stage.select(name);
    const command = this.live && commandFor(this.toolbar.tool, this.model.nodes.get(name));
    if (command) this.command(command);
  }

  cut(side) {
    const leader = this.model.leader();
    this.command({ do: "partition", groups: sidesFor(this.model.servers, leader?.name, side) });
  }

  key(event, name) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    const onNode = Boolean(event.target.closest?.(".cl-node"));
    const node = name === null ? null : this.model?.nodes.get(name);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (onNode && step) this.stage.nodes.focusNext(name, step);
    else if (onNode && (event.key === "Enter" || event.key === " ")) this.choose(name);
    else if (event.key === "Escape") {
      this.stage.select(null);
      this.pick(null);
    } else if (!this.live && (event.key === "." || event.key === ",")) this.step(event.key === "." ? 1 : -1);
    else if (event.key === "h" && this.live) this.command({ do: "heal" });
    else if (node && event.key === "p") this.act(node.paused ? "resume" : "pause", name);
    else if (node && { k: 1, r: 1, l: 1, i: 1 }[event.key]) {
      this.act({ k: "kill", r: "restart", l: "restart-lose", i: "isolate" }[event.key], name);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  play() {
    if (this.live) {
      this.clock.frozen = !this.clock.frozen;
      if (!this.clock.frozen) this.clock.toNow();
      return;
    }
    if (this.clock.shown >= this.clock.to) this.seek(0);
    this.clock.playing = !this.clock.playing;
  }

  // Show the moment after this share of a recorded run.
  seek(share) {
    this.seekTo(this.clock.from + share * (this.clock.to - this.clock.from));
  }

  seekTo(at) {
    this.restart();
    this.queue = this.records;
    this.clock.shown = at;
    this.applyUntil(at, false);
    this.tape.back = null;
  }

  // To the next moment at which something happened (1), or to the one before (-1), and say what it was.
  step(by) {
    this.moments ??= new Moments(this.records);
    const at = this.moments.from(this.clock.shown, by);
    if (at === undefined) return;
    this.clock.playing = false;
    this.seekTo(at);
    this.status.write(`${msText(at)}: ${this.moments.words(at)}.`, false);
  }

  pace(value) {
    this.speed = value;
    if (this.live) this.command({ do: "speed", speed: value });
    else this.clock.rate = value;
  }

  // --- each frame ---

  tick(at) {
    this.frame = requestAnimationFrame((t) => this.tick(t));
    const dt = Math.min(1000, at - (this.lastTick ?? at));
    this.lastTick = at;
    this.status.flush();
    if (!this.model || !this.width) return;
    const now = this.clock.tick(dt);
    this.applyUntil(now, true);
    const still = this.motion.matches;
    if (still && at - (this.lastStep ?? -Infinity) < STEP_MS && this.drawnVersion === this.model.version) return;
    this.lastStep = at;
    this.drawnVersion = this.model.version;
    if (!this.theme || at - this.themeAt > 1000) {
      this.theme = themeOf(this.root);
      this.themeAt = at;
    }
    this.draw(now, dt, still);
  }

  draw(now, dt, still) {
    const moving = this.live ? !this.clock.frozen : this.clock.playing;
    this.stage.update(this.model, this.width, still);
    this.stage.draw(this.model, now, moving ? dt : 0, this.theme, still);
    this.tape.draw(this.model, now, this.live ? this.clock.rate : 0, this.width, this.theme, still);
    this.toolbar.update(this.model);
    this.bar.update(this.model, this.stage);
    this.legend.update(this.model, this.theme);
    this.transport.update(this.clock, this.tape.following);
  }
}

const messages = (count) => `${count.toLocaleString("en-US")} ${count === 1 ? "message" : "messages"}`;

function render({ model, el }) {
  const view = new ClusterView(model, el);
  el.clusterView = view;
  return () => view.close();
}
