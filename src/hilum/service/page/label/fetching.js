// What is fetched, and when: the film one looks at, then the next ones, so that each is there when its turn comes.

import { Refused } from "../engine-http.js";
import { outline } from "../outline.js";
import { shrunk } from "../work.js";

const AHEAD = 4;
const AT_ONCE = 3;
const KEPT = 12; // films whose pixels are kept at the screen's size
const THUMB = 96;

/** What is missing most. @returns {{what: "about" | "pixels" | "full" | "answer", film: any} | null} */
export function mostUrgent(showings) {
  const { current, films } = showings;
  if (!current) return null;
  const lacks = (film, what) => film[what] === null && !film.asked.has(what) && (what !== "pixels" || !film.problem);
  const mayKnow = (film) => showings.answers === "first" || (showings.answers === "after" && film.reading !== null);
  for (const what of /** @type {const} */ (["about", "pixels"])) if (lacks(current, what)) return { what, film: current };
  if (showings.beside && lacks(showings.beside, "pixels")) return { what: "pixels", film: showings.beside };
  if (mayKnow(current) && lacks(current, "answer")) return { what: "answer", film: current };
  for (const film of [current, showings.beside]) {
    if (film?.wantsFull && lacks(film, "full")) return { what: "full", film };
  }
  if (current.pixels === null && !current.problem) return null; // what one waits for has the server to itself
  const ahead = [];
  for (const film of showings.coming()) if (ahead.push(film) === AHEAD) break;
  if (showings.place > 0) ahead.push(films[showings.place - 1]);
  for (const film of ahead) {
    for (const what of /** @type {const} */ (["about", "pixels"])) if (lacks(film, what)) return { what, film };
    if (showings.answers === "first" && lacks(film, "answer")) return { what: "answer", film };
  }
  const reduced = current.pixels && current.pixels.width < current.pixels.fullWidth;
  return reduced && lacks(current, "full") ? { what: "full", film: current } : null; // before anybody zooms
}

export class Fetching {
  #running = 0;
  #resting = false;

  /**
   * @param {import("./showings.js").Showings} showings
   * @param {import("./engine.js").RoomEngine} engine
   * @param {() => number} longest side of a film that fits the screen, in pixels
   */
  constructor(showings, engine, longest) {
    this.showings = showings;
    this.engine = engine;
    this.longest = longest;
    showings.addEventListener("change", () => this.#soon());
  }

  /** What one waits for at once; what is fetched ahead once the film one looks at is on the screen. */
  #soon() {
    const { current } = this.showings;
    if (!current?.pixels) return this.go();
    requestAnimationFrame(() => setTimeout(() => this.go()));
  }

  go() {
    while (this.#running < AT_ONCE && !this.#resting) {
      const next = mostUrgent(this.showings);
      if (!next) return;
      this.#running++;
      next.film.asked.add(next.what);
      this.#fetch(next).finally(() => {
        this.#running--;
        this.showings.changed();
      });
    }
  }

  async #fetch({ what, film }) {
    try {
      if (what === "about") this.showings.learn(film, await this.engine.about(film.id));
      else if (what === "full") film.full = await this.engine.pixels(film.id, 65536);
      else if (what === "answer") await this.#answer(film);
      else {
        film.pixels = await this.engine.pixels(film.id, this.longest());
        film.thumb ??= shrunk(film.pixels, THUMB);
        this.#forget();
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.wait !== null) this.#rest(error, film, what);
      else if (what === "full") film.full = film.pixels; // what is shown already is all that can be had
      else if (what === "answer") film.answer = { problem: error };
      else if (what === "pixels") film.problem = error;
    }
  }

  async #answer(film) {
    const { answer, heatmap, lungs } = await this.engine.answer(film.id);
    const picture = heatmap && (await createImageBitmap(heatmap));
    Object.assign(film, { heatmap: picture, lungs: lungs && outline(lungs), answer });
  }

  #rest(error, film, what) {
    film.asked.delete(what);
    this.#resting = true;
    setTimeout(() => {
      this.#resting = false;
      this.showings.set({ notice: null });
    }, 1000 * error.wait);
    this.showings.set({ notice: { key: `reason.${error.reason}` } });
  }

  /** Pixels of films that one looked at long ago. */
  #forget() {
    const { films, place } = this.showings;
    const near = new Set([films[place], films[place - 1], this.showings.beside]);
    let left = AHEAD;
    for (const film of this.showings.coming()) if (left-- > 0) near.add(film);
    const held = films.filter((film) => film.pixels && !near.has(film));
    for (const film of films) if (film.full && !near.has(film)) this.#drop(film, "full");
    for (const film of held.slice(0, Math.max(held.length + near.size - KEPT, 0))) {
      this.#drop(film, "pixels");
    }
  }

  #drop(film, what) {
    Object.assign(film, { [what]: null, wantsFull: false });
    film.asked.delete(what);
  }
}
