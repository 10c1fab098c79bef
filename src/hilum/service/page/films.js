// All that the page knows, in one place: films and what became of them, and what the user has chosen. No drawing.

import { Changing } from "./changing.js";
import { decided } from "./decide.js";

/**
 * state: waiting, judging, answered, turned_away, unreadable. `reading`: its pixels are on their way. `sent`: how much of
 * it has gone to the server, from 0 to 1, while it goes.
 * @typedef {{id: number, name: string, file: Blob, state: string, answer: any, problem: {reason: string, detail: string}
 *   | null, heatmap: ImageBitmap | null, lungs: Float32Array | null, pixels: any, full: any, wantsFull: boolean, reading: boolean, sent: number | null, thumb: any,
 *   patient: string | null, round: number}} Film
 */

export const DONE = ["answered", "turned_away", "unreadable"];

export class Films extends Changing {
  /** @type {Film[]} */
  films = [];
  models = [];
  card = null;
  point = null;
  currentId = null;
  pinnedId = null;
  sort = "given";
  notice = null;
  shown = { heatmap: true, opacity: 0.8, boxes: true, lungs: false, inverted: false };
  #next = 1;

  add(files) {
    const added = files.map((file) => ({
      id: this.#next++, name: file.name || "film", file, state: "waiting", answer: null, problem: null, heatmap: null,
      lungs: null, pixels: null, full: null, wantsFull: false, reading: false, sent: null, thumb: null, patient: null, round: 0,
    }));
    this.films.push(...added);
    if (added.length && this.current === null) this.currentId = added[0].id;
    this.changed();
  }

  /** Judge a film anew, as when another model is asked; an answer that is under way counts no more. */
  judgeAgain(films) {
    for (const film of films) {
      if (film.state === "unreadable") continue;
      Object.assign(film, { state: "waiting", answer: null, heatmap: null, lungs: null, round: film.round + 1 });
    }
    this.changed();
  }

  get current() {
    return this.byId(this.currentId);
  }

  get pinned() {
    return this.byId(this.pinnedId);
  }

  byId(id) {
    return this.films.find((film) => film.id === id) ?? null;
  }

  get done() {
    return this.films.filter((film) => DONE.includes(film.state)).length;
  }

  /** The films in the order in which the list shows them. */
  get sorted() {
    if (this.sort === "given") return this.films;
    const rank = (film) => {
      if (film.state !== "answered") return -1;
      const answer = decided(film.answer, this.card, this.point);
      return this.sort === "probability" ? answer.probability : 1 - Math.abs(answer.probability - answer.threshold);
    };
    return [...this.films].sort((one, other) => rank(other) - rank(one) || one.id - other.id);
  }

  /** Go some films further in the list. */
  walk(steps) {
    const films = this.sorted;
    if (!films.length) return;
    const place = films.indexOf(this.current) + steps;
    this.set({ currentId: films[Math.min(Math.max(place, 0), films.length - 1)].id });
  }
}
