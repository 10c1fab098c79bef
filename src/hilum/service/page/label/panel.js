// What a reader says of the film: classes, marks, boxes, a note, and what comes of it.

import { make, shape, the } from "../dom.js";
import { called, t } from "../words.js";
import { parts } from "./pace.js";

/**
 * The panel's controls, made once.
 * @param {import("./showings.js").Showings} showings
 * @param {Record<string, any>} does
 */
export function makePanel(showings, does) {
  const key = (shown) => make("kbd", { "aria-hidden": "true" }, shown);
  const toggle = (id, shown, action, word) =>
    make("button", { id, "aria-pressed": "false", "aria-keyshortcuts": shown, onclick: action }, make("span", { "data-words": word }), key(shown));
  const classes = showings.classes.map((name, place) =>
    make(
      "button",
      { class: "choice", "aria-pressed": "false", "aria-keyshortcuts": String(place + 1), onclick: () => does.label(name) },
      key(String(place + 1)), make("span", {}, called("class", name)),
    ));
  const note = make("textarea", { id: "note", rows: "2", maxlength: "2000", "data-label": "label.note", oninput: () => does.note(note.value) });
  note.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      note.blur();
      the("canvas").focus();
    }
  });
  the("sheet").hidden = true;
  the("verdict").before(
    make(
      "div", { id: "panel" },
      make(
        "div", { id: "heading" },
        make("h2", { id: "which", role: "status" }),
        make("button", { id: "back", class: "round", "data-label": "label.before", onclick: () => does.walk(-1) }, "‹"),
        make("button", { id: "forth", class: "round", "data-label": "label.after", onclick: () => does.walk(1) }, "›"),
      ),
      make("div", { id: "classes", role: "group", "data-label": "label.classes" }, ...classes),
      make(
        "div", { id: "marks", role: "group", "data-label": "label.marks" },
        toggle("unreadable", "r", does.unreadable, "label.unreadable"),
        toggle("lateral", "l", does.lateral, "label.lateral"),
        toggle("doubtful", "d", does.doubt, "label.doubt"),
      ),
      make("label", { for: "note" }, make("span", { "data-words": "label.note" }), " ", key("n")),
      note,
      make(
        "div", { id: "box-tools", role: "group", "data-label": "label.boxes" },
        toggle("draw", "b", does.draw, "label.draw"), toggle("add", "a", does.add, "label.add"),
      ),
      make("ul", { id: "own-boxes" }),
      make(
        "div", { id: "give-tools" },
        make("button", { id: "give", class: "primary", "aria-keyshortcuts": "Enter", onclick: does.enter }, make("span", {}), key("⏎")),
        make("button", { id: "undo", "aria-keyshortcuts": "u", onclick: does.undo }, make("span", { "data-words": "label.undo" }), key("u")),
      ),
      make("div", { id: "others" }),
    ),
  );
  the("add").removeAttribute("aria-pressed");
}

/** Draw it as things are now. */
export function drawPanel(showings, does) {
  const film = showings.current;
  the("panel").hidden = !film;
  the("progress").textContent = progress(showings);
  if (!film) return;
  const { draft } = showings;
  const state = film.reading === null ? t("label.open") : showings.given ? t("label.kept") : t("label.changed");
  the("which").textContent = `${t("label.film", { number: showings.place + 1 })} · ${state}`;
  const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));
  [...the("classes").children].forEach((button, place) => {
    press(button, draft.label === showings.classes[place]);
    button.disabled = !showings.seen;
  });
  the("unreadable").disabled = !showings.seen;
  press(the("unreadable"), !draft.readable);
  press(the("lateral"), draft.lateral);
  press(the("doubtful"), draft.doubt);
  press(the("draw"), showings.drawing);
  if (the("note").value !== draft.note) the("note").value = draft.note;
  the("give").querySelector("span").textContent = t(showings.given ? "label.next" : "label.give");
  the("give").disabled = showings.busy || (!showings.given && !(showings.says && showings.seen));
  the("back").disabled = showings.place === 0;
  the("forth").disabled = showings.place === showings.films.length - 1;
  the("undo").disabled = showings.busy || !showings.undone.length;
  drawBoxes(showings, does);
  drawOthers(film);
}

/** Which film it is and what was said of it, in few words. */
export function inWords(film) {
  const { reading } = film;
  if (!reading) return t("label.open");
  const said = [
    ...(reading.readable ? [] : [t("label.unreadable")]),
    ...(reading.lateral ? [t("label.lateral")] : []),
    ...(reading.label === null ? [] : [called("class", reading.label)]),
    ...(reading.label === null && reading.boxes.length ? [t("label.box_count", { count: reading.boxes.length })] : []),
  ];
  return said.join(", ") || t("label.kept");
}

/** A film's own row in the list says by a shape as well how it stands. */
export function shapeOf(film) {
  if (!film.reading) return shape("waiting");
  return shape(film.reading.readable ? (film.reading.doubt ? "abstain" : "no_pneumonia") : "unreadable");
}

function progress(showings) {
  const { done, time } = showings;
  const all = showings.films.length;
  const words = t("films.progress", { done, all });
  if (time === null || done === all) return words;
  const { hours, minutes } = parts(time);
  const left = hours ? t(minutes ? "label.hours_minutes" : "label.hours", { hours, minutes }) : t("label.minutes", { minutes });
  return `${words} · ${left}`;
}

function drawBoxes(showings, does) {
  const { boxes } = showings.draft;
  const key = JSON.stringify([showings.place, boxes.map((box) => box.label), showings.box, document.documentElement.lang]);
  const list = the("own-boxes");
  if (list.dataset.key === key) return;
  const focused = document.activeElement?.id;
  list.dataset.key = key;
  list.replaceChildren(...boxes.map((box, place) => {
    const name = t("label.box", { number: place + 1 });
    const select = make(
      "select", { id: `box-class-${place}`, "aria-label": `${name}: ${t("label.box_class")}`, onchange: () => does.boxLabel(place, select.value || null) },
      make("option", { value: "" }, t("label.no_class")),
      ...showings.classes.map((each) => make("option", { value: each }, called("class", each))),
    );
    select.value = box.label ?? "";
    return make(
      "li", {},
      make("button", { id: `box-${place}`, "aria-pressed": String(place === showings.box), onclick: () => does.takeBox(place) }, name),
      select,
      make("button", { id: `box-away-${place}`, class: "round", "aria-label": `${name}: ${t("label.remove")}`, title: t("label.remove"), onclick: () => does.removeBox(place) }, "×"),
    );
  }));
  if (focused?.startsWith("box-")) the(focused)?.focus();
}

function drawOthers(film) {
  const others = film.about?.others ?? [];
  const key = JSON.stringify([film.id, others.length, document.documentElement.lang]);
  if (the("others").dataset.key === key) return;
  the("others").dataset.key = key;
  const row = (reading) => make(
    "tr", {}, make("th", { scope: "row" }, reading.reader),
    make("td", {}, inWords({ reading }), reading.doubt ? ` (${t("label.doubt")})` : "", reading.note ? make("div", { class: "dim" }, reading.note) : ""),
  );
  the("others").replaceChildren(...(others.length ? [
    make("h3", {}, t("label.others")), make("table", {}, make("tbody", {}, ...others.map(row))),
  ] : []));
}
