// All that a reading room's page knows: a reader's films in their order, and what was said of each. No drawing.

import { Changing } from "../changing.js";
import { left } from "./pace.js";

/**
 * What is said of a film, as long as it is not given. @typedef {{label: string | null, readable: boolean, lateral: boolean,
 *   doubt: boolean, note: string, boxes: import("./boxes.js").Box[]}} Draft
 */

const NOTHING = { label: null, readable: true, lateral: false, doubt: false, note: "", boxes: [] };

export class Showings extends Changing {
  films = [];
  classes = [];
  answers = "never";
  round = "first";
  reader = null;
  card = null;
  point = null;
  place = 0;
  pinned = null; // the place of a film that stays beside the others
  box = null; // which of the boxes is taken hold of
  drawing = false;
  notice = null; // a word and its values
  busy = false;
  undone = []; // what undo goes back to, the latest last
  pace = []; // seconds that readings took, in the order in which they were given
  shown = { heatmap: true, opacity: 0.8, boxes: true, lungs: false, inverted: false };

  /** The room's list as the server tells it. */
  begin({ reader, classes, answers, round, count, readings }) {
    Object.assign(this, { reader, classes, answers, round });
    this.films = Array.from({ length: count }, (_, place) => ({
      id: place, reading: null, draft: null, about: null, pixels: null, full: null, wantsFull: false, thumb: null,
      problem: null, answer: null, heatmap: null, lungs: null, asked: new Set(),
    }));
    for (const { place, ...reading } of readings) this.films[place].reading = reading;
    const inOrder = [...readings].sort((one, other) => (one.given < other.given ? -1 : 1));
    this.pace = inOrder.map((reading) => reading.seconds);
    this.place = this.#open(-1) ?? 0;
    this.changed();
  }

  get current() {
    return this.films[this.place] ?? null;
  }

  get beside() {
    return this.pinned === null ? null : this.films[this.pinned];
  }

  /** What is said of the film one looks at, to be changed in place. @returns {Draft} */
  get draft() {
    const film = this.current;
    film.draft ??= atFirst(film);
    return film.draft;
  }

  /** Whether the film one looks at was given just as it stands. */
  get given() {
    const { reading } = this.current;
    return reading !== null && JSON.stringify(draftOf(reading)) === JSON.stringify(this.draft);
  }

  /** Whether somebody has changed what is said of it since. */
  get touched() {
    return JSON.stringify(atFirst(this.current)) !== JSON.stringify(this.draft);
  }

  /** What a film begins with has come. */
  learn(film, about) {
    const untouched = film.draft && JSON.stringify(film.draft) === JSON.stringify(atFirst(film));
    film.about = about;
    if (untouched) film.draft = null;
  }

  /** Whether it has come, or why it does not: nothing is said of a film that nobody has seen. */
  get seen() {
    return this.current.pixels !== null || this.current.problem !== null;
  }

  /** Whether anything is said of it. */
  get says() {
    const { label, readable, lateral, note, boxes } = this.draft;
    return label !== null || !readable || lateral || note !== "" || boxes.length > 0;
  }

  get done() {
    return this.films.reduce((count, film) => count + (film.reading !== null ? 1 : 0), 0);
  }

  /** Seconds that what is left will take; null where nobody can say yet. */
  get time() {
    return left(this.films.length - this.done, this.pace);
  }

  /** The films that come next: those without a reading after this one, then those before it. */
  *coming() {
    for (let step = 1; step < this.films.length; step++) {
      const film = this.films[(this.place + step) % this.films.length];
      if (film.reading === null) yield film;
    }
  }

  goTo(place) {
    const within = Math.min(Math.max(place, 0), this.films.length - 1);
    this.set({ place: within, box: null, notice: null });
  }

  walk(steps) {
    this.goTo(this.place + steps);
  }

  /** To the next film that was not read; whether there is one. */
  next() {
    const place = this.#open(this.place);
    if (place === null) return false;
    this.goTo(place);
    return true;
  }

  #open(after) {
    const isOpen = (film) => film.reading === null;
    const later = this.films.findIndex((film, place) => place > after && isOpen(film));
    const found = later >= 0 ? later : this.films.findIndex(isOpen);
    return found >= 0 ? found : null;
  }
}

/** What is said of a film before anybody has said anything on this page. @returns {Draft} */
function atFirst(film) {
  return draftOf(film.reading) ?? { ...NOTHING, boxes: (film.about?.boxes ?? []).map(boxOf) };
}

/** A reading as a draft. @returns {Draft | null} */
export function draftOf(reading) {
  if (!reading) return null;
  const { label, readable, lateral, doubt, note, boxes } = reading;
  return { label, readable, lateral, doubt, note, boxes: boxes.map(boxOf) };
}

/** What a draft or reading says, as the server takes it. */
export function plainOf({ label, readable, lateral, doubt, note, boxes }) {
  const written = boxes.map((box) => [box.x, box.y, box.width, box.height, ...(box.label === null ? [] : [box.label])]);
  return { label, readable, lateral, doubt, note, boxes: written };
}

/** @returns {import("./boxes.js").Box} */
function boxOf([x, y, width, height, label = null]) {
  return { x, y, width, height, label };
}
