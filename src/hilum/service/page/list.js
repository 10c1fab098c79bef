// The list of films: what each is called, how it looks, what is said of it.

import { verdict } from "./decide.js";
import { make, shape, the } from "./dom.js";
import { DONE } from "./films.js";
import { Rows } from "./rows.js";
import { share, t } from "./words.js";
import { shades } from "./window.js";

let drawn = null;
const rows = new Rows(the("list"), {
  key: (film) => film.id,
  make: (film) => newRow(film, drawn),
  draw: (row, film) => drawRow(row, film, drawn),
});

/** Draw the list as the films are now. */
export function drawList(films) {
  drawn = films;
  rows.show(films.sorted);
  const current = films.current;
  if (current) the("list").setAttribute("aria-activedescendant", `film-${current.id}`);
  the("progress").textContent = films.films.length
    ? t("films.progress", { done: films.done, all: films.films.length })
    : "";
}

/** Bring the row of a film into sight. */
export function scrollTo(film) {
  const place = drawn?.sorted.indexOf(film) ?? -1;
  if (place >= 0) rows.scrollTo(place);
}

/** What is said of a film, in one line. */
export function inWords(film, films) {
  const what = verdict(film, films.card, films.point);
  const words = t(`answer.${what}`);
  return film.state === "answered" ? `${words}, ${share(film.answer.probability)}` : words;
}

function newRow(film, films) {
  const thumb = make("canvas", { width: 48, height: 48, "aria-hidden": "true" });
  const name = make("span", { class: "name" }, film.name);
  const said = make("span", { class: "said" });
  const element = make(
    "li",
    { id: `film-${film.id}`, role: "option", onclick: () => films.set({ currentId: film.id }) },
    thumb, make("span", { class: "text" }, name, said),
  );
  element.title = film.name;
  return { element, thumb, said, drawn: false, key: "" };
}

function drawRow(row, film, films) {
  if (film.thumb && !row.drawn) {
    drawThumb(row.thumb, film.thumb);
    row.drawn = true;
  }
  const what = verdict(film, films.card, films.point);
  const sending = film.sent !== null && !DONE.includes(film.state);
  const key = `${what} ${film.answer?.probability} ${sending && share(film.sent)} ${document.documentElement.lang}`;
  if (row.key !== key) {
    row.key = key;
    const words = sending ? make("span", {}, t("answer.sending", { percent: share(film.sent) })) : shortWords(what);
    row.said.replaceChildren(shape(what), words, " ");
    if (film.state === "answered") row.said.append(make("b", {}, share(film.answer.probability)));
    row.element.className = `verdict ${what}`;
  }
  row.element.style.setProperty("--sent", String(sending ? film.sent : 1));
  row.element.classList.toggle("sending", sending);
  row.element.setAttribute("aria-selected", String(film.id === films.currentId));
  row.element.classList.toggle("kept", film.id === films.pinnedId);
}

function shortWords(what) {
  return make("span", {}, t(what === "other_finding" ? "answer.no_pneumonia" : `answer.${what}`));
}

/** A film's small picture on its canvas. */
export function drawThumb(canvas, { grey, width, height }) {
  const table = shades({ width: 65535, center: 32767.5 }, 16, false);
  const picture = new ImageData(width, height);
  new Uint32Array(picture.data.buffer).set(Uint32Array.from(grey, (value) => table[value]));
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d").putImageData(picture, 0, 0);
  const ratio = 2;
  const size = 48 * ratio;
  Object.assign(canvas, { width: size, height: size });
  const scale = Math.min(size / width, size / height);
  const pen = canvas.getContext("2d");
  pen.fillRect(0, 0, size, size);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(whole, (size - width * scale) / 2, (size - height * scale) / 2, width * scale, height * scale);
}
