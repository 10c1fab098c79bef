// The page: what is on it, put together.

import { drawAnswer, why } from "./answer.js";
import { drawCard } from "./card.js";
import { inOrder, pointsFor } from "./decide.js";
import { all, make, the } from "./dom.js";
import { HttpEngine, Refused } from "./engine-http.js";
import { SiteFiles, WasmEngine } from "./engine-wasm.js";
import { Films } from "./films.js";
import { drawKeys, listenToKeys, viewingKeys, walkingKeys } from "./keys.js";
import { drawList, inWords, scrollTo } from "./list.js";
import { print, saveCsv, saveJson, savePicture } from "./save.js";
import { askToken } from "./token.js";
import { drawTools, listenToTools, viewingActions } from "./tools.js";
import { Viewer } from "./viewer.js";
import { preferred, share, speak, t } from "./words.js";
import { Work } from "./work.js";

const DRAWN = "page/drawn-film.jpg";
const KEEP = "hilum keeps films here";

const films = new Films();
const site = await (await fetch("page/site.json")).json();
const server = site.server ? new HttpEngine(askToken) : null;
const here = site.browser ? new WasmEngine(server ?? new SiteFiles(site.models), site.hilum) : null;
let engine = server && !(here && localStorage.getItem(KEEP)) ? server : here;
const context = {
  shown: films.shown,
  words: { box: (box) => share(box.score), length: (mm) => (mm >= 10 ? `${mm / 10} cm` : `${mm} mm`) },
  wantsFull: (film) => {
    if (film.wantsFull) return;
    film.wantsFull = true;
    films.changed();
  },
  onLook: drawBar,
};
const viewer = new Viewer(the("canvas"), context);
const beside = new Viewer(the("pinned"), context);
const viewers = [viewer, beside];

films.addEventListener("change", draw);
const work = new Work(films, engine);

let scrolledTo = null;

function draw() {
  const { current, pinned } = films;
  document.body.classList.toggle("empty", !films.films.length);
  the("pinned").hidden = !pinned;
  drawList(films);
  drawAnswer(films, {
    point: (name) => films.set({ point: name }),
    card: showCard,
    patient: (patient) => {
      current.patient = patient;
      films.judgeAgain([current]);
    },
  });
  viewer.show(current);
  beside.show(pinned);
  drawNotice(current);
  drawBar();
  if (scrolledTo !== current) scrollTo(current);
  scrolledTo = current;
  if (current) the("canvas").setAttribute("aria-label", t("film.alt", { name: current.name, verdict: inWords(current, films) }));
  const answered = Boolean(current?.answer);
  for (const id of ["save-picture", "save-json", "print"]) the(id).disabled = !answered;
  the("save-csv").disabled = !films.done;
}

function drawNotice(film) {
  const words = films.notice ? t(`reason.${films.notice}`)
    : film?.state === "unreadable" && !film.pixels ? why(film)
    : film && !film.pixels && film.sent !== null ? t("answer.sending", { percent: share(film.sent) })
    : film && !film.pixels ? t("film.loading")
    : film?.wantsFull && !film.full ? t("film.full")
    : "";
  the("notice").textContent = words;
  the("notice").hidden = !words;
}

function drawBar() {
  drawTools(viewer, films.shown, {
    lungs: films.films.some((film) => film.lungs),
    boxes: Boolean(films.card?.boxes),
    heatmap: !films.card?.heatmap.startsWith("none"),
  });
  the("compare").setAttribute("aria-pressed", String(films.pinnedId !== null));
}

const actions = {
  ...viewingActions(viewers, films.shown),
  walk: (steps) => films.walk(steps),
  point: (step) => {
    if (!films.card) return;
    const names = inOrder(pointsFor(films.card, films.current?.answer)).map((point) => point.name);
    films.set({ point: names[Math.min(Math.max(names.indexOf(films.point) + step, 0), names.length - 1)] });
  },
  compare: () => films.set({ pinnedId: films.pinnedId === null ? films.currentId : null }),
  open: () => the("files").click(),
};
const keys = [
  ...walkingKeys(actions),
  { keys: ["[", "]"], shown: "[ ]", name: "point", does: [() => actions.point(-1), () => actions.point(1)] },
  { keys: ["b"], shown: "b", name: "boxes", does: [actions.boxes] },
  { keys: ["l"], shown: "l", name: "lungs", does: [actions.lungs] },
  { keys: ["c"], shown: "c", name: "compare", does: [actions.compare] },
  { keys: ["o"], shown: "o", name: "open", does: [actions.open] },
  ...viewingKeys(actions),
];
listenToKeys(keys, {
  space: (held) => {
    for (const each of viewers) each.space = held;
  },
});

function listen() {
  const on = (id, event, does) => the(id).addEventListener(event, does);
  for (const id of ["choose", "choose-too"]) on(id, "click", actions.open);
  on("files", "change", () => {
    films.add([...the("files").files]);
    the("files").value = "";
  });
  on("try", "click", async () => {
    const drawn = await (await fetch(DRAWN)).blob();
    films.add([new File([drawn], t("welcome.drawn"), { type: "image/jpeg" })]);
  });
  listenToTools(viewers, films.shown, actions);
  on("compare", "click", actions.compare);
  on("sort", "change", () => films.set({ sort: the("sort").value }));
  on("model", "change", async () => {
    await useModel(the("model").value);
    films.judgeAgain(films.films);
  });
  on("keep-here", "change", () => keepHere(the("keep-here").checked));
  on("show-card", "click", showCard);
  on("save-json", "click", () => saveJson(films.current, films));
  on("save-csv", "click", () => saveCsv(films));
  on("print", "click", () => print(films.current, films, the("canvas")));
  on("save-picture", "click", () => savePicture(films.current, films, engine).catch(showRefusal));
  on("sheet", "click", () => {
    const open = the("answer").classList.toggle("open");
    the("sheet").setAttribute("aria-expanded", String(open));
  });
  for (const button of all("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  for (const button of all("[data-language]")) {
    button.addEventListener("click", () => say(button.dataset.language));
  }
  addEventListener("paste", (event) => films.add([...event.clipboardData.files]));
  listenToDrops();
}

function listenToDrops() {
  let within = 0;
  const show = (change) => {
    within = Math.max(within + change, 0);
    the("drop").hidden = !within;
  };
  addEventListener("dragenter", (event) => event.dataTransfer.types.includes("Files") && show(1));
  addEventListener("dragleave", (event) => event.dataTransfer.types.includes("Files") && show(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    show(-within);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry);
    const plain = [...event.dataTransfer.files];
    films.add(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : plain);
  });
}

/** The files of what was dropped, those of folders as well, in the order of their names. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  found.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  return (await Promise.all(found.map(filesOf))).flat();
}

function showRefusal(error) {
  if (!(error instanceof Refused)) throw error;
  the("notice").textContent = t(`reason.${error.wait === null ? "other" : error.reason}`);
  the("notice").hidden = false;
}

async function useModel(name) {
  for (;;) {
    try {
      const from = engine;
      const card = await from.model(name);
      if (from !== engine) return; // the switch was turned meanwhile
      films.set({ card, point: card.default_point, notice: null });
      break;
    } catch (error) {
      if (!(error instanceof Refused) || error.wait === null) throw error;
      films.set({ notice: error.reason });
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.wait));
    }
  }
  const { card } = films;
  the("model").replaceChildren(...card.models.map((each) => make("option", { value: each }, each)));
  the("model").value = card.model;
}

function showCard() {
  if (!films.card) return;
  drawCard(films.card, engine !== here ? null : here.graphics ? "card_words.graphics" : "card_words.processor");
  the("card").showModal();
}

/** Judge the films to come in the browser, or by the server; the choice holds the next time, too. */
async function keepHere(chosen) {
  if (chosen) localStorage.setItem(KEEP, "yes");
  else localStorage.removeItem(KEEP);
  engine = work.engine = chosen ? here : server;
  drawPromise();
  await useModel(films.card?.model ?? null); // it may be turned before there is a card
}

/** Where films are judged, in words. */
function drawPromise() {
  the("keep").hidden = !(server && here);
  the("keep-here").checked = engine === here;
  the("kept").dataset.words = engine === here ? "welcome.kept_here" : "welcome.kept";
  the("kept").textContent = t(the("kept").dataset.words);
  the("licenses").hidden = !here;
}

async function say(language) {
  await speak(language);
  drawPromise();
  drawKeys(keys);
  draw();
}

listen();
await say(preferred());
await useModel(null);
