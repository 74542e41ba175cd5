// What a search or a storm found, told beside the picture: each sentence is a button that moves the cursor to its event.

class StoryPanel {
  constructor(finding, on) {
    this.finding = finding; // {property, explanation, end, seq, nodes, sentences: [{seq, node, text}]}
    this.sentences = finding.sentences.map(({ seq, text }) => html("button", {
      type: "button", class: "cl-sentence", "data-seq": seq, onclick: () => on.goTo(seq), text,
    }));
    this.verdict = html("button", {
      type: "button", class: "cl-sentence cl-verdict", "data-do": "violation", "data-seq": finding.seq, title: "Move the cursor to where it is violated",
      onclick: () => on.goTo(finding.seq), text: finding.end || `${finding.property} is violated${finding.explanation ? `: ${finding.explanation}` : ""}`,
    });
    this.element = html("section", { class: "cl-story", "aria-label": `how ${finding.property} came to be violated` },
      html("h3", { class: "cl-storyhead", text: finding.property }),
      html("ol", { class: "cl-sentences" }, ...this.sentences.map((sentence) => html("li", {}, sentence))), this.verdict);
  }

  // The newest sentence that has come true at the cursor is marked, and the nodes that contradict each other once they do.
  update(view) {
    const { seq } = view.cursor;
    if (seq === this.seq && view.stage.nodes.parts.size === this.count) return;
    this.count = view.stage.nodes.parts.size;
    const told = this.finding.sentences.map((sentence) => sentence.seq).filter((one) => one <= seq);
    const newest = Math.max(-1, ...told);
    const broken = this.finding.seq !== null && seq >= this.finding.seq;
    for (const button of this.sentences) {
      const here = Number(button.dataset.seq) === newest;
      if (here) bringIntoView(this.element, button);
      put(button, "aria-current", here ? "step" : "false");
    }
    put(this.verdict, "aria-current", broken ? "step" : "false");
    if (broken) bringIntoView(this.element, this.verdict);
    for (const [name, parts] of view.stage.nodes.parts) {
      put(parts.group, "data-contradicts", broken && this.finding.nodes.includes(name));
    }
    this.seq = seq;
  }
}

// Scroll a list, and not the page, to one of its rows.
function bringIntoView(list, row) {
  const [outer, inner] = [list.getBoundingClientRect(), row.getBoundingClientRect()];
  if (inner.top < outer.top) list.scrollTop -= outer.top - inner.top + 8;
  else if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom + 8;
}
