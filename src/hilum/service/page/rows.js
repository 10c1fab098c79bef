// Rows of a list that may be long: only those near what is in sight are elements, the others are room.

const AROUND = 24; // rows before and after those in sight

/**
 * @typedef {{element: HTMLElement}} Row
 */

export class Rows {
  /** @type {Map<any, any>} */
  #rows = new Map();
  #items = [];

  /**
   * @param {HTMLElement} list whose style says the size of a row, --row
   * @param {{key: (item: any) => any, make: (item: any) => any, draw: (row: any, item: any, place: number) => void}} how
   */
  constructor(list, how) {
    this.list = list;
    this.how = how;
    list.addEventListener("scroll", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(list);
  }

  /** Show these, in their order. */
  show(items) {
    this.#items = items;
    this.#draw();
  }

  /** Bring an item into sight, as little as that needs. */
  scrollTo(place) {
    const { across, row, seen } = this.#measures();
    const side = across ? "scrollLeft" : "scrollTop";
    const least = (place + 1) * row - seen;
    this.list[side] = Math.max(Math.min(this.list[side], place * row), least);
    this.#draw();
  }

  #measures() {
    const style = getComputedStyle(this.list);
    const across = style.display === "flex";
    const seen = across ? this.list.clientWidth : this.list.clientHeight;
    return { across, row: parseFloat(style.getPropertyValue("--row")), seen };
  }

  #draw() {
    const { across, row, seen } = this.#measures();
    const count = this.#items.length;
    const first = Math.floor((across ? this.list.scrollLeft : this.list.scrollTop) / row) - AROUND;
    const from = Math.min(Math.max(first, 0), count);
    const to = Math.min(Math.max(first, 0) + Math.ceil(seen / row) + 2 * AROUND, count);
    this.list.style.setProperty("--before", String(from));
    this.list.style.setProperty("--after", String(count - to));
    const near = new Set(this.#items.slice(from, to).map(this.how.key));
    for (const [key, { element }] of this.#rows) {
      if (near.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    for (let place = from; place < to; place++) {
      const item = this.#items[place];
      const key = this.how.key(item);
      if (!this.#rows.has(key)) this.#rows.set(key, this.how.make(item));
      const made = this.#rows.get(key);
      const here = this.list.children[place - from] ?? null;
      if (here !== made.element) this.list.insertBefore(made.element, here);
      made.element.setAttribute("aria-setsize", String(count));
      made.element.setAttribute("aria-posinset", String(place + 1));
      this.how.draw(made, item, place);
    }
  }
}
