// What a page knows and draws, which tells of its changes.

/** A state whose changes are told once, however much is changed at once. */
export class Changing extends EventTarget {
  #announced = false;

  /** Change something. */
  set(values) {
    Object.assign(this, values);
    this.changed();
  }

  changed() {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}
