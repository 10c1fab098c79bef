// The page of a reading room: films one after the other, and what one reader says of them.

import { drawAnswer } from "../answer.js";
import { drawCard } from "../card.js";
import { all, make, the } from "../dom.js";
import { HttpEngine, Refused } from "../engine-http.js";
import { drawKeys, listenToKeys, viewingKeys, walkingKeys } from "../keys.js";
import { Rows } from "../rows.js";
import { drawTools, listenToTools, viewingActions } from "../tools.js";
import { drawThumb } from "../thumb.js";
import { askToken } from "../token.js";
import { Viewer } from "../viewer.js";
import { because, known, preferred, share, speak, t } from "../words.js";
import { boxTool } from "./drawing.js";
import { RoomEngine } from "./engine.js";
import { Fetching } from "./fetching.js";
import { Watch } from "./pace.js";
import { drawPanel, inWords, makePanel, shapeOf } from "./panel.js";
import { Showings, draftOf, plainOf } from "./showings.js";

const now = () => performance.now() / 1000;
const showings = new Showings();
const engine = new RoomEngine(new HttpEngine(askToken));
const boxes = boxTool(showings, () => viewer);
const context = {
  shown: showings.shown,
  words: { box: (box) => share(box.score), length: (mm) => (mm >= 10 ? `${mm / 10} cm` : `${mm} mm`) },
  wantsFull: (film) => {
    if (film.wantsFull) return;
    film.wantsFull = true;
    showings.changed();
  },
  onLook: drawBar,
};
const viewer = new Viewer(the("canvas"), { ...context, ...boxes });
const beside = new Viewer(the("pinned"), context);
const viewers = [viewer, beside];
let watch = new Watch(now());
let drawn = null; // the film that was drawn last

const rows = new Rows(the("list"), {
  key: (film) => film.id,
  make: (film) => {
    const thumb = make("canvas", { width: 48, height: 48, "aria-hidden": "true" });
    const name = make("span", { class: "name" });
    const said = make("span", { class: "said" });
    const element = make(
      "li", { id: `film-${film.id}`, role: "option", onclick: () => showings.goTo(film.id) },
      thumb, make("span", { class: "text" }, name, said),
    );
    return { element, thumb, name, said, drawn: false, key: "" };
  },
  draw: (row, film) => {
    if (film.thumb && !row.drawn) {
      drawThumb(row.thumb, film.thumb);
      row.drawn = true;
      row.element.classList.add("pictured");
    }
    row.element.setAttribute("aria-selected", String(film.id === showings.place));
    const words = inWords(film);
    const key = `${words} ${film.reading?.doubt} ${document.documentElement.lang}`;
    if (row.key === key) return;
    row.key = key;
    row.name.textContent = t("label.film", { number: film.id + 1 });
    row.said.replaceChildren(shapeOf(film), make("span", {}, words));
    row.element.classList.toggle("open", !film.reading);
  },
});

function draw() {
  const film = showings.current;
  if (film !== drawn) {
    watch = new Watch(now());
    drawn = film;
    rows.scrollTo(showings.place);
  }
  rows.show(showings.films);
  if (film) the("list").setAttribute("aria-activedescendant", `film-${film.id}`);
  drawPanel(showings, does);
  the("pinned").hidden = !showings.beside;
  viewer.show(film);
  beside.show(showings.beside);
  drawModel(film);
  drawNotice(film);
  drawBar();
  if (film) the("canvas").setAttribute("aria-label", `${t("label.film", { number: film.id + 1 })}: ${inWords(film)}`);
}

function drawModel(film) {
  const answer = film?.answer;
  if (!answer) {
    const comes = showings.answers === "first" || (showings.answers === "after" && film?.reading);
    the("answer").dataset.key = "";
    the("verdict").replaceChildren(...(comes ? [make("p", { class: "dim" }, t("label.judging"))] : []));
    the("reasons").replaceChildren();
    return;
  }
  const { card, point } = showings;
  const state = answer.problem ? "unreadable" : answer.decision === "abstain" ? "turned_away" : "answered";
  const view = { id: film.id, state, round: 0, patient: null, problem: answer.problem, answer, heatmap: film.heatmap };
  drawAnswer({ current: view, card, point }, {
    point: (name) => showings.set({ point: name }),
    card: () => the("card").showModal(),
    patient: () => {},
  });
}

function drawNotice(film) {
  const { notice } = showings;
  const words = notice ? (known(notice.key) ?? t("reason.other"))
    : !film ? t("label.none")
    : film.problem ? because(film.problem.reason, film.problem.detail)
    : !film.pixels ? t("film.loading")
    : film.wantsFull && !film.full ? t("film.full")
    : "";
  the("notice").textContent = words;
  the("notice").hidden = !words;
}

function drawBar() {
  const film = showings.current;
  const answered = Boolean(film?.answer && !film.answer.problem);
  const heatmap = answered && Boolean(film.heatmap);
  the("compare").setAttribute("aria-pressed", String(showings.pinned !== null));
  drawTools(viewer, showings.shown, { lungs: Boolean(film?.lungs), boxes: answered && film.answer.boxes.length > 0, heatmap });
}

/** Keep what is said of the film one looks at; whether it is kept. @param {object} said */
async function give(said = plainOf(showings.draft)) {
  const film = showings.current;
  if (showings.busy) return false;
  showings.set({ busy: true, notice: null });
  const before = film.reading;
  try {
    const reading = await engine.give(film.id, { ...said, seconds: Math.round(10 * watch.seconds(now())) / 10 });
    film.reading = reading.withdrawn ? null : reading;
    if (film.reading) {
      film.draft = null;
      showings.pace.push(reading.seconds);
    }
    showings.undone.push({ place: film.id, before });
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const words = { not_kept: "label.not_kept", offline: "label.offline" };
    showings.set({ notice: { key: words[error.reason] ?? "label.not_taken" } });
    return false;
  } finally {
    showings.set({ busy: false });
  }
}

/** Give it, and go on: to the next film, or first to what the model says of this one. */
async function giveAndGoOn() {
  if (!(await give())) return;
  watch = new Watch(now());
  the("canvas").focus({ preventScroll: true });
  if (showings.answers !== "after") goOn();
}

function goOn() {
  if (!showings.next()) showings.set({ notice: { key: "label.all" } });
}

async function undo() {
  const last = showings.undone.at(-1);
  if (!last || showings.busy) return;
  showings.goTo(last.place);
  const film = showings.current;
  const draft = draftOf(film.reading);
  watch = new Watch(now());
  const said = last.before ? plainOf(draftOf(last.before)) : { withdrawn: true };
  if (!(await give(said))) return;
  showings.undone.length -= 2; // what was undone, and the undoing
  if (!last.before) film.draft = draft; // to be put right
  showings.changed();
}

const change = (values) => {
  Object.assign(showings.draft, values);
  showings.changed();
};
const does = {
  label: (name) => {
    if (!showings.seen) return;
    change({ label: name, readable: true });
    giveAndGoOn();
  },
  unreadable: () => {
    if (!showings.seen) return;
    change({ readable: !showings.draft.readable, label: null });
    if (!showings.draft.readable) giveAndGoOn();
  },
  lateral: () => change({ lateral: !showings.draft.lateral }),
  doubt: () => change({ doubt: !showings.draft.doubt }),
  note: (note) => change({ note }),
  enter: () => {
    if (showings.given) goOn();
    else if (showings.says && showings.seen) giveAndGoOn();
    else showings.set({ notice: { key: "label.nothing" } });
  },
  undo,
  walk: (steps) => showings.walk(steps),
  draw: boxes.keys.draw,
  add: boxes.keys.add,
  takeBox: (place) => showings.set({ box: place === showings.box ? null : place }),
  removeBox: (place) => {
    showings.box = place;
    boxes.keys.remove();
  },
  boxLabel: (place, label) => {
    showings.draft.boxes[place].label = label;
    showings.changed();
  },
};
const actions = {
  ...viewingActions(viewers, showings.shown),
  walk: does.walk,
  compare: () => showings.set({ pinned: showings.pinned === null ? showings.place : null }),
};

/** Arrows move the box that is taken hold of, and walk the list where there is none. */
const arrow = (dx, dy) => (event) => {
  if (showings.box !== null && viewer.look) boxes.keys.arrow(dx, dy, event.shiftKey);
  else if (dy) actions.walk(dy);
};
/** A key that is held down says a thing once: it must not read one film after the other. */
const once = (action) => (event) => !event.repeat && showings.current && action();

function keysOf(classes) {
  return [
    { keys: classes.map((_, place) => String(place + 1)), shown: `1–${classes.length}`, name: "class", does: classes.map((name) => once(() => does.label(name))) },
    { keys: ["r"], shown: "r", name: "unreadable", does: [once(does.unreadable)] },
    { keys: ["l"], shown: "l", name: "lateral", does: [once(does.lateral)] },
    { keys: ["d"], shown: "d", name: "doubt", does: [once(does.doubt)] },
    { keys: ["n"], shown: "n", name: "note", does: [() => the("note").focus()] },
    { keys: ["Enter"], shown: "Enter", name: "enter", does: [once(does.enter)] },
    { keys: ["u"], shown: "u", name: "undo", does: [once(undo)] },
    { keys: ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"], shown: "↑ ↓", name: "walk_or_move", does: [arrow(0, -1), arrow(0, 1), arrow(-1, 0), arrow(1, 0)] },
    walkingKeys(actions)[1],
    { keys: ["b"], shown: "b", name: "draw", does: [boxes.keys.draw] },
    { keys: ["a"], shown: "a", name: "add", does: [once(boxes.keys.add)] },
    { keys: [",", "."], shown: ", .", name: "choose_box", does: [() => boxes.keys.choose(-1), () => boxes.keys.choose(1)] },
    { keys: ["Delete", "Backspace"], shown: "Del", name: "remove_box", does: [boxes.keys.remove, boxes.keys.remove] },
    { keys: ["Escape"], shown: "Esc", name: "escape", does: [() => showings.set({ box: null, drawing: false })] },
    { keys: ["c"], shown: "c", name: "compare", does: [once(actions.compare)] },
    ...viewingKeys(actions, "z"),
  ];
}

/** Who reads: the only one there is, the one whose token was shown, or whoever says so. */
async function whoReads() {
  const readers = await engine.readers();
  const named = decodeURIComponent(location.hash.slice(1));
  if (readers.length === 1 || readers.includes(named)) return readers.length === 1 ? readers[0] : named;
  return new Promise((resolve) => {
    const choose = (reader) => {
      dialog.close();
      location.hash = encodeURIComponent(reader);
      resolve(reader);
    };
    const dialog = make(
      "dialog", { "aria-labelledby": "who" },
      make("h2", { id: "who" }, t("label.who")),
      make("p", { class: "readers" }, ...readers.map((reader) => make("button", { onclick: () => choose(reader) }, reader))),
    );
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
}

async function say(language) {
  await speak(language);
  drawKeys(keys);
  the("reader").textContent = t("label.reads", { reader: showings.reader });
  if (showings.card) drawCard(showings.card, null);
  draw();
}

/** The longest side of a film that fills the canvas, in steps, so that it is not fetched anew for every resizing. */
function longest() {
  const { width, height } = the("canvas");
  return Math.min(Math.max(256 * Math.ceil(Math.max(width, height) / 256), 512), 2048);
}

function listen() {
  const held = { space: (down) => viewers.forEach((each) => (each.space = down)) };
  listenToKeys(keys, held);
  listenToTools(viewers, showings.shown, actions);
  the("compare").addEventListener("click", actions.compare);
  for (const sign of ["keydown", "pointermove", "pointerdown", "wheel"]) {
    addEventListener(sign, () => watch.touch(now()), { passive: true, capture: true });
  }
  the("show-card").addEventListener("click", () => the("card").showModal());
  for (const button of all("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  for (const button of all("[data-language]")) button.addEventListener("click", () => say(button.dataset.language));
  addEventListener("beforeunload", (event) => {
    if (showings.current && showings.touched) event.preventDefault();
  });
  addEventListener("hashchange", () => location.reload());
}

await speak(preferred());
engine.reader = await whoReads();
showings.begin(await engine.list());
if (showings.answers !== "never") {
  showings.card = await engine.card();
  showings.point = showings.card.default_point;
}
the("show-card").hidden = !showings.card;
the("show-card").before(make("span", { id: "reader" }));
const keys = keysOf(showings.classes);
makePanel(showings, does);
listen();
showings.addEventListener("change", draw);
new Fetching(showings, engine, longest).go();
await say(preferred());
document.body.classList.add("ready");
