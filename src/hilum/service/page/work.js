// What is to be done next for the films, and doing it: always the most urgent thing that is missing.

import { LONGEST, Refused } from "./engine-http.js";
import { outline } from "./outline.js";

const AT_ONCE = 4;
const AHEAD = 3;
const KEPT = 10; // films whose pixels are kept, 8 MB each at most
const THUMB = 96;

/**
 * The most urgent thing: the film one looks at, its answer, then the others' answers, the next films, pictures of all.
 * @returns {{what: "pixels" | "full" | "answer" | "thumb", film: any} | null}
 */
export function mostUrgent(films) {
  const { current, pinned, sorted } = films;
  const lacksPixels = (film) => film && !film.pixels && !film.reading && film.state !== "unreadable";
  for (const film of [current, pinned]) if (lacksPixels(film)) return { what: "pixels", film };
  if (!films.card) return null;
  if (current?.reading && !current.pixels) return null; // what one waits for has the server to itself
  if (current?.state === "waiting") return { what: "answer", film: current };
  for (const film of [current, pinned]) {
    if (film?.wantsFull && !film.full && !film.reading) return { what: "full", film };
  }
  const waiting = sorted.find((film) => film.state === "waiting");
  if (waiting) return { what: "answer", film: waiting };
  const ahead = nextOnes(films).find(lacksPixels);
  if (ahead) return { what: "pixels", film: ahead };
  const plain = sorted.find((film) => !film.thumb && !film.reading && film.state !== "unreadable");
  return plain ? { what: "thumb", film: plain } : null;
}

/** A small picture of a film: the means of its blocks. */
export function shrunk({ grey, width, height }, longest) {
  const block = Math.max(Math.ceil(Math.max(width, height) / longest), 1);
  const [across, down] = [Math.max(Math.floor(width / block), 1), Math.max(Math.floor(height / block), 1)];
  const small = new Uint16Array(across * down);
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      let sum = 0;
      let count = 0;
      for (let row = y * block; row < Math.min((y + 1) * block, height); row++) {
        for (let column = x * block; column < Math.min((x + 1) * block, width); column++, count++) {
          sum += grey[row * width + column];
        }
      }
      small[y * across + x] = sum / count;
    }
  }
  return { grey: small, width: across, height: down };
}

function nextOnes({ sorted, current }) {
  const place = sorted.indexOf(current);
  return place < 0 ? [] : sorted.slice(place + 1, place + 1 + AHEAD);
}

export class Work {
  #running = 0;
  #resting = false;

  constructor(films, engine) {
    this.films = films;
    this.engine = engine;
    films.addEventListener("change", () => this.go());
  }

  go() {
    while (this.#running < AT_ONCE && !this.#resting) {
      const next = mostUrgent(this.films);
      if (!next) return;
      this.#running++;
      this.#do(next).finally(() => {
        this.#running--;
        this.films.changed();
      });
    }
  }

  async #do({ what, film }) {
    if (what === "answer") return this.#judge(film);
    film.reading = true;
    const onSent = (share) => this.#sent(film, share);
    try {
      if (what === "thumb") film.thumb = await this.engine.pixels(film.file, THUMB, onSent);
      else if (what === "full") film.full = await this.engine.pixels(film.file, 65536, onSent);
      else {
        film.pixels = await this.engine.pixels(film.file, LONGEST, onSent);
        film.thumb ??= shrunk(film.pixels, THUMB);
        this.#forget();
      }
    } catch (error) {
      if (this.#mayWait(error)) return;
      if (what === "full") film.full = film.pixels; // what is shown already is all that can be had
      else Object.assign(film, { state: "unreadable", problem: error });
    } finally {
      Object.assign(film, { reading: false, sent: null });
    }
  }

  async #judge(film) {
    const { round } = film;
    film.state = "judging";
    this.films.changed();
    const asked = { model: this.films.card.model, patient: film.patient, heatmap: true, lungs: true };
    try {
      const { answer, heatmap, lungs } = await this.engine.predict(film.file, asked, (share) => this.#sent(film, share));
      const picture = heatmap && (await createImageBitmap(heatmap));
      if (film.round !== round) return;
      const state = answer.decision === "abstain" ? "turned_away" : "answered";
      Object.assign(film, { answer, heatmap: picture, lungs: lungs && outline(lungs), state });
    } catch (error) {
      if (film.round !== round) return;
      if (this.#mayWait(error)) film.state = "waiting";
      else Object.assign(film, { state: "unreadable", problem: error });
    } finally {
      film.sent = null;
    }
  }

  #sent(film, share) {
    film.sent = share < 1 ? share : null;
    this.films.changed();
  }

  /** Whether trying again later may help, which is then done. A fault of the page's own shows itself. */
  #mayWait(error) {
    if (!(error instanceof Refused)) throw error;
    if (error.wait === null) return false;
    this.#resting = true;
    setTimeout(() => {
      this.#resting = false;
      this.films.set({ notice: null });
    }, 1000 * error.wait);
    this.films.set({ notice: error.reason });
    return true;
  }

  /** Pixels of films that one looked at long ago. */
  #forget() {
    const near = new Set([this.films.current, this.films.pinned, ...nextOnes(this.films)]);
    const held = this.films.films.filter((film) => film.pixels && !near.has(film));
    for (const film of held.slice(0, Math.max(held.length + near.size - KEPT, 0))) {
      Object.assign(film, { pixels: null, full: null, wantsFull: false });
    }
  }
}
