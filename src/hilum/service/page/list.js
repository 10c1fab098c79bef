// The list of films: what each is called, how it looks, what is said of it.

import { verdict } from "./decide.js";
import { make, shape, the } from "./dom.js";
import { DONE } from "./films.js";
import { Rows } from "./rows.js";
import { drawThumb } from "./thumb.js";
import { share, t } from "./words.js";

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
