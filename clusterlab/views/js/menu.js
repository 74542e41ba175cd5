// A small menu: arrow keys move in it, Enter and Space choose, Escape and a click elsewhere close it.

class Menu {
  constructor(within) {
    this.element = html("div", { class: "cl-menu", role: "menu", hidden: true, onkeydown: (event) => this.key(event) });
    within.append(this.element);
    this.elsewhere = (event) => { if (!this.element.contains(event.target)) this.close(); };
  }

  get isOpen() {
    return !this.element.hidden;
  }

  // `items` are [words, what it does]; afterwards the focus goes back to `home`.
  open([x, y], title, items, home) {
    this.close();
    this.home = home;
    put(this.element, "aria-label", title);
    this.element.replaceChildren(
      html("div", { class: "cl-menutitle", role: "presentation", text: title }),
      ...items.map(([words, act]) => html("button", {
        type: "button", class: "cl-menuitem", role: "menuitem", tabindex: "-1", text: words,
        onclick: (event) => {
          event.stopPropagation();
          this.close();
          act();
        },
      })));
    this.element.hidden = false;
    const within = this.element.parentElement;
    this.element.style.left = `${Math.max(4, Math.min(x, within.clientWidth - this.element.offsetWidth - 4))}px`;
    this.element.style.top = `${Math.max(4, Math.min(y, within.clientHeight - this.element.offsetHeight - 4))}px`;
    document.addEventListener("pointerdown", this.elsewhere, true);
    this.items[0]?.focus();
  }

  get items() {
    return [...this.element.querySelectorAll("[role=menuitem]")];
  }

  close() {
    if (!this.isOpen) return;
    document.removeEventListener("pointerdown", this.elsewhere, true);
    const inside = this.element.contains(document.activeElement);
    this.element.hidden = true;
    if (inside) this.home?.focus?.();
  }

  key(event) {
    const { items } = this;
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[(to + items.length) % items.length].focus();
    else if (event.key === "Escape" || event.key === "Tab") this.close();
    else if (event.key !== "Enter" && event.key !== " ") return;
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== " ") event.preventDefault();
  }
}
