// One picture in the page: it takes records from the kernel, shows a moment of them, and sends commands back.

const KNOCK_MS = 400;
const STEP_MS = 500; // the steps of a picture that must not move
const ALOUD = 3000; // when more records than that are due at once, they are applied without a word
let views = 0;

class ClusterView {
  constructor(model, el) {
    this.channel = model;
    this.id = `${Date.now().toString(36)}-${views++}`;
    this.root = html("div", {
      class: "clusterlab-view", "data-lm-suppress-shortcuts": "true", role: "region", "aria-label": "picture of a cluster",
      onkeydown: (event) => this.key(event, this.stage?.selected ?? null),
    });
    this.status = new Status();
    this.status.write("Waiting for the kernel …", false);
    this.root.append(this.status.element);
    el.append(this.root);
    this.width = this.root.clientWidth;
    this.panels = [];
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
    this.end();
    this.root.remove();
  }

  // --- from the kernel ---

  receive(content) {
    // Its own past comes once (a knock may be answered twice), a past for all replaces what is shown.
    if (content.type === "past" && (this.timeline ? content.to === null : content.to === this.id)) this.begin(content);
    else if (!this.timeline) return;
    else if (content.type === "records") this.add(content);
    else if (content.type === "error") this.status.error(content.text);
    else if (content.type === "said") this.status.say("kernel", content.text);
  }

  begin(past) {
    clearInterval(this.knocking);
    const again = this.clock;
    this.end();
    this.past = past;
    this.live = past.live;
    this.finding = past.finding ? { ...past.finding, at_ms: null } : null;
    this.timeline = new Timeline(JSON.parse(past.base), this.live);
    this.history = new History(past);
    for (const r of this.timeline.base) this.history.add(r);
    this.take(JSON.parse(past.records));
    this.shared ??= { version: 0, whereLost: () => null };
    this.states = new Checkpoints(this.timeline, {
      start: () => new Model(past, this.shared), apply: (state, r) => state.apply(r, this.say), copy: (state) => state.copy(),
    });
    this.fields = null;
    this.search = null;
    this.anchor = null;
    this.model = this.states.at(0);
    if (!again) this.build(past);
    this.choose(null);
    this.clock = new Clock(this.timeline, { live: this.live, nowMs: past.now_ms, rate: this.live ? again?.replay ?? watchableSpeed(this.timeline.records) : this.speed });
    this.cursor = cursorOf(past.run);
    this.leaveCursor = this.cursor.subscribe((cursor, by) => this.follow(cursor, by));
    this.panels = PANELS.map((make) => make(this));
    this.panelPlace.replaceChildren(...this.panels.map((panel) => panel.element));
    if (this.live) this.show(past.now_ms, this.timeline.countAt(past.now_ms), false);
    else if (this.finding) this.goTo(this.finding.seq);
    else this.seek(past.start === "end" ? 1 : 0);
    if (this.live && again && !again.following) this.clock.hold(again.shown);
    if (!this.live && !this.finding) this.clock.playing = past.start === "play" && !this.motion.matches;
    if (past.left_out) this.status.write(`Shown are the newest ${this.timeline.records.length.toLocaleString("en-US")} records; ${past.left_out.toLocaleString("en-US")} older ones are left out.`, false);
    else if (!this.finding) this.status.write("", false);
  }

  // What a past brought along goes with it.
  end() {
    this.leaveCursor?.();
    this.stage?.close();
    for (const panel of this.panels) panel.destroy();
    this.panels = [];
  }

  build(past) {
    this.speed = this.live ? past.speed ?? 1 : watchableSpeed(this.timeline.records);
    this.toolbar = new Toolbar({ command: (c) => this.command(c), cut: (side) => this.cut(side) });
    this.stage = new Stage({
      choose: (name) => this.touch(name),
      key: (event, name) => this.key(event, name),
      focus: (name) => this.stage.select(name),
      live: this.live, command: (c) => this.command(c), tool: () => this.toolbar.tool, say: (words) => this.status.write(words, false),
    });
    this.bar = new NodeBar(this.live, (action) => this.act(action, this.stage.selected));
    this.legend = new Legend();
    this.tape = new Tape({
      choose: (seq) => this.choose(seq), goTo: (atMs) => this.goToTime(atMs), goToSeq: (seq) => this.goTo(seq),
      from: () => this.timeline.from, to: () => this.clock.to, find: (seq) => this.timeline.find(seq),
      beside: (seq, by) => this.timeline.records[this.timeline.indexOf(seq) + by],
      records: (from, to, most) => this.timeline.between(from, to, most), newest: (t) => this.timeline.records[this.timeline.countAt(t) - 1],
      words: (r) => this.words(r),
    });
    this.detail = new Detail({ goTo: (seq) => this.goTo(seq), close: () => this.choose(null) });
    this.transport = new Transport({ live: this.live, canPace: past.can_pace, speed: this.speed }, {
      play: () => this.play(), step: (by) => this.step(by), seek: (share) => this.seek(share), speed: (value) => this.pace(value), follow: () => this.toEnd(),
    });
    this.box = new SearchBox({ jump: (by) => this.jump(by), changed: (query) => { this.search = query.trim() ? new Search(this.timeline, query) : null; } });
    this.help = new Help();
    this.story = this.finding ? new StoryPanel(this.finding, { goTo: (seq) => this.goTo(seq) }) : null;
    this.windowTools = new WindowTools(this.tape, { svg: (what) => this.saveSvg(what) });
    this.panelPlace = html("div", { class: "cl-panels" });
    this.root.replaceChildren(
      this.live ? this.toolbar.element : "", html("div", { class: "cl-scene" }, this.stage.element, this.story?.element), this.bar.element,
      html("div", { class: "cl-playerrow" }, this.transport.element, this.help.button), this.help.element,
      html("div", { class: "cl-tapehead" }, this.box.element, html("span", { class: "cl-spring" }), this.windowTools.element),
      this.legend.element, this.tape.element, this.detail.element, this.panelPlace, this.status.element);
  }

  // Records join the timeline and the diagram, each once.
  take(records) {
    const { timeline } = this;
    const last = timeline.records[timeline.records.length - 1]?.seq ?? -1;
    timeline.add(records);
    for (const r of records) if (r.seq > last) this.history.add(r);
    if (this.live) this.history.trim();
    if (this.finding) this.finding.at_ms = timeline.due[timeline.seek(this.finding.seq) - 1] ?? null;
  }

  add(content) {
    for (const name of content.clients) {
      this.model.node(name, true).client = true;
      this.history.lane(name, true).client = true;
    }
    this.take(JSON.parse(content.records));
    this.clock.heard(content.now_ms);
    this.search?.look();
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

  // A click or a key on a node.
  touch(name) {
    this.stage.select(name);
    const command = this.live && commandFor(this.toolbar.tool, this.model.nodes.get(name));
    if (command) this.command(command);
  }

  cut(side) {
    const leader = this.model.leader();
    this.command({ do: "partition", groups: sidesFor(this.model.servers, leader?.name, side) });
  }

  // --- the cursor ---

  // Show a moment: the first `count` records have happened. Events on the way there are told aloud or not.
  show(atMs, count, aloud) {
    const { timeline } = this;
    this.say = aloud ? (key, words) => this.status.say(key, words) : null;
    timeline.count = count;
    this.model = this.states.at(count);
    const [lost, arrived] = [this.model.landed(atMs), this.model.arrived.splice(0)];
    if (aloud) {
      for (const m of lost) this.stage.lost(this.model, m);
      for (const m of arrived) this.stage.arrived(m, this.clock.rate);
    } else this.stage.flights.calm();
    this.cursor.move({ atMs, seq: timeline.records[count - 1]?.seq ?? -1, live: this.clock.following }, this);
  }

  // Another picture of this run has moved the cursor.
  follow(cursor, by) {
    if (by === null || by === this || !this.clock) return;
    if (cursor.live && this.live) {
      if (!this.clock.following) this.clock.follow();
      return;
    }
    if (cursor.live) return;
    this.clock.hold(cursor.atMs);
    this.anchor = null;
    this.show(this.clock.shown, this.timeline.seek(cursor.seq), false);
  }

  // To just after an event, and all that its step brought.
  goTo(seq) {
    const { records, due } = this.timeline;
    let count = this.timeline.seek(seq);
    while (count && count < records.length && records[count].cause === seq && records[count].node === records[count - 1].node && !ends(records[count])) count++;
    this.clock.hold(due[count - 1] ?? this.timeline.from);
    this.show(this.clock.shown, count, false);
    this.anchor = seq;
    if (!this.tape.following) this.tape.bringIn(this.clock.shown);
    const r = this.timeline.find(seq);
    if (r) this.status.write(`${msText(r.at_ms)}: ${this.words(r)}.`, false);
  }

  goToTime(atMs) {
    this.clock.hold(atMs);
    this.anchor = null;
    this.show(this.clock.shown, this.timeline.countAt(this.clock.shown), false);
  }

  // Show the moment after this share of the run; the end of a running cluster is the present.
  seek(share) {
    if (share >= 1 && this.live) this.toEnd();
    else this.goToTime(share >= 1 ? this.clock.to : this.clock.from + share * (this.clock.to - this.clock.from));
    this.tape.edge = null;
  }

  toEnd() {
    this.tape.edge = null;
    if (this.live) this.clock.follow();
    else this.seek(1);
  }

  play() {
    if (this.clock.moving) this.clock.hold();
    else this.clock.play();
    this.anchor = null;
  }

  step(by) {
    const over = this.transport.over.value;
    const seq = nextStop(this, over, this.anchor ?? this.cursor.seq, by);
    this.clock.hold();
    if (seq === undefined) this.status.write(`There is no ${by > 0 ? "later" : "earlier"} ${STOPS_AT[over][0]}.`, false);
    else this.goTo(seq);
  }

  jump(by) {
    const seq = this.search?.from(this.anchor ?? this.cursor.seq, by);
    if (seq === undefined) {
      this.status.write(this.search?.problem || (this.search ? "There is no such event: ask for less, or for something else." : "Say what to jump to."), false);
      return;
    }
    this.goTo(seq);
    this.choose(seq);
  }

  pace(value) {
    if (this.live && this.clock.following) this.command({ do: "speed", speed: value });
    else this.clock.replay = value;
  }

  // --- the chosen event ---

  words(r) {
    return sentenceOf(r, messageOf(this.timeline, r));
  }

  // Show what led to an event, what followed from it and what it changed; again, or beside all events: show all.
  choose(seq) {
    const record = seq === null || seq === this.tape.chosen?.seq ? undefined : this.timeline.find(seq);
    this.tape.chosen = record ? lightCone(this.timeline.records, record) : null;
    if (record) this.fields ??= new Checkpoints(this.timeline, FIELDS);
    this.detail.show(this.tape.chosen, record ? this.words(record) : "", record ? changesOf(this.timeline, this.fields, record) : []);
  }

  svgOf(what) {
    return what === "stage" ? stageSvg(this.stage, this.model, this.clock.shown, this.theme) : tapeSvg(this.tape, this.theme);
  }

  saveSvg(what) {
    download(`${what === "stage" ? "cluster" : "diagram"}-${Math.round(this.clock.shown)}ms.svg`, this.svgOf(what), "image/svg+xml");
  }

  key(event, name) {
    if (keyPressed(this, event, name)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  // --- each frame ---

  tick(at) {
    this.frame = requestAnimationFrame((t) => this.tick(t));
    const dt = Math.min(1000, at - (this.lastTick ?? at));
    this.lastTick = at;
    this.status.flush();
    if (!this.timeline || !this.width) return;
    const moving = this.clock.moving;
    const now = this.clock.tick(dt);
    if (moving) {
      const count = this.timeline.countAt(now);
      this.anchor = null;
      this.show(now, Math.max(count, this.clock.following ? this.timeline.count : 0), Math.abs(count - this.timeline.count) < ALOUD);
    }
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
    this.stage.update(this.model, this.stage.element.clientWidth, still);
    this.stage.draw(this.model, now, this.clock.moving ? dt : 0, this.theme, still);
    this.tape.draw({
      history: this.history, model: this.model, cursor: now, running: this.live, live: this.clock.following, rate: this.clock.rate, finding: this.finding,
    }, this.width, this.theme, still);
    this.toolbar.update(this.model);
    this.bar.update(this.model, this.stage);
    this.legend.update(this.history, this.theme);
    this.transport.update(this.clock);
    this.box.update(this.search, this.anchor ?? this.cursor.seq);
    this.windowTools.update();
    this.story?.update(this);
    const { timeline, cursor } = this;
    const seen = `${cursor.seq} ${cursor.atMs} ${cursor.live} ${timeline.dropped + timeline.records.length}`;
    if (seen !== this.seen) for (const panel of this.panels) panel.update(this);
    this.seen = seen;
  }
}

function render({ model, el }) {
  const view = new ClusterView(model, el);
  el.clusterView = view;
  return () => view.close();
}
