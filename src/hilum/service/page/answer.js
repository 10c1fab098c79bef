// What is said of the film one looks at: first the verdict, then why, then what one should know.

import { decided, inOrder, pointsFor, verdict } from "./decide.js";
import { make, shape, the } from "./dom.js";
import { because, called, known, share, t } from "./words.js";

/**
 * @param {any} films
 * @param {{point: (name: string) => void, patient: (name: string | null) => void, card: () => void}} chosen
 */
export function drawAnswer(films, chosen) {
  const film = films.current;
  const what = film ? verdict(film, films.card, films.point) : null;
  const key = JSON.stringify([
    film?.id, what, film?.round, film?.answer?.probability, film?.problem?.reason, films.point, films.card?.digest,
    document.documentElement.lang,
  ]);
  if (the("answer").dataset.key === key) return;
  const focused = document.activeElement?.id;
  the("answer").dataset.key = key;
  the("verdict").className = `verdict ${what ?? ""}`;
  the("verdict").replaceChildren(...headline(film, what, films));
  the("reasons").replaceChildren(...(film ? reasons(film, films, chosen) : []));
  if (focused) the(focused)?.focus(); // a radio button was drawn anew
}

function headline(film, what, films) {
  if (!film) return [make("p", { class: "dim" }, t("answer.none"))];
  const words = make("h2", {}, shape(what), make("span", {}, t(`answer.${what}`)));
  if (film.state !== "answered") return [words, make("p", {}, why(film))];
  const answer = decided(film.answer, films.card, films.point);
  words.append(make("b", {}, share(answer.probability)));
  const point = called("point", films.point);
  const compared = answer.decision === "pneumonia" ? "answer.because_above" : "answer.because_below";
  return [
    words,
    ...(what === "other_finding" ? [make("p", {}, t("answer.other_finding_means"))] : []),
    scale(answer, pointsFor(films.card, answer), films.point),
    make("p", {}, t(compared, { percent: share(answer.threshold), point })),
  ];
}

/** Why a film has no answer, and what to do. */
export function why(film) {
  if (film.state === "unreadable") return because(film.problem.reason, film.problem.detail);
  return film.state === "turned_away" ? because(film.answer.gate.reason, film.answer.gate.detail) : "";
}

function scale(answer, points, chosen) {
  const place = (element, share) => {
    element.style.setProperty("--at", String(share));
    return element;
  };
  const ticks = points.map((point) => {
    const name = point.name === chosen ? "tick chosen" : "tick";
    return place(make("i", { class: name, title: called("point", point.name) }), point.threshold);
  });
  const label = `${t("answer.scale")}: ${share(answer.probability)}`;
  const line = make("div", { class: "scale", role: "img", "aria-label": label }, ...ticks);
  line.append(place(make("i", { class: "here" }), answer.probability));
  line.style.setProperty("--from", String(answer.threshold));
  return line;
}

function* reasons(film, films, chosen) {
  const { card } = films;
  if (film.state === "answered") {
    const answer = decided(film.answer, card, films.point);
    yield* section(t("answer.points"), operatingPoints(answer, films, chosen.point));
    if (Object.keys(answer.probabilities).length > 1) yield* section(t("answer.classes"), classes(answer));
    yield* section(t("answer.where"), ...where(film, answer));
    yield* section(t("answer.patient"), ...patient(film, answer, card, chosen.patient));
    yield* section(t("answer.trust"), trust(answer, films), make("button", { onclick: chosen.card }, t("card")));
  }
  const warnings = (film.answer?.warnings ?? []).map(({ code, detail }) => known(`warning.${code}`) ?? detail);
  if (film.answer?.gate.passed === null && film.state === "answered") warnings.push(t("answer.gate_off"));
  if (warnings.length) yield* section(t("answer.warnings"), make("ul", {}, ...warnings.map((each) => make("li", {}, each))));
}

function section(title, ...content) {
  return [make("h3", {}, title), ...content];
}

function operatingPoints(answer, films, choose) {
  const rows = inOrder(pointsFor(films.card, answer)).map((point) => {
    const radio = make("input", {
      type: "radio", name: "point", id: `point-${point.name}`, value: point.name,
      onchange: () => choose(point.name),
    });
    radio.checked = point.name === films.point;
    const found = { found: Math.round(100 * point.sensitivity), cleared: Math.round(100 * point.specificity) };
    return make(
      "label", {}, radio,
      make("span", {}, called("point", point.name), make("small", {}, t("answer.point_found", found))),
      make("span", { class: "number" }, t("answer.from", { percent: share(point.threshold) })),
    );
  });
  return make("fieldset", { class: "points" }, make("legend", { class: "away" }, t("answer.points")), ...rows);
}

function classes(answer) {
  const rows = Object.entries(answer.probabilities).map(([name, probability]) => {
    const bar = make("i", { class: "bar" });
    bar.style.setProperty("--share", String(probability));
    return make(
      "tr", {}, make("th", { scope: "row" }, called("class", name)), make("td", {}, bar),
      make("td", { class: "number" }, share(probability)),
    );
  });
  return make("table", { class: "classes" }, make("tbody", {}, ...rows));
}

function* where(film, answer) {
  if (answer.box_threshold !== null) {
    const scores = answer.boxes.map((box) => share(box.score)).join(", ");
    yield make("p", {}, t("answer.boxes", { count: answer.boxes.length, scores }));
  }
  yield make("p", { class: "dim" }, t(film.heatmap ? "answer.heatmap_means" : "answer.no_heatmap"));
}

function* patient(film, answer, card, choose) {
  if (!card.groups?.length || !answer.patient_group) {
    yield make("p", { class: "dim" }, t("answer.patient_none"));
    return;
  }
  const { name, by, probability } = answer.patient_group;
  const sure = probability === null ? "" : share(probability);
  yield make("p", {}, t("answer.patient_as_found", { group: t(`group.${name}`), by: t(`by.${by}`, { percent: sure }) }));
  const options = [["", t("answer.patient_ask")], ["child", t("group.child")], ["adult", t("group.adult")]];
  const select = make(
    "select",
    { id: "patient", "aria-label": t("answer.patient"), onchange: () => choose(select.value || null) },
    ...options.map(([value, words]) => make("option", { value }, words)),
  );
  select.value = film.patient ?? "";
  yield select;
}

function trust(answer, films) {
  const { card } = films;
  const point = pointsFor(card, answer).find((each) => each.name === films.point);
  const group = card.groups?.find((each) => each.name === answer.patient_group?.name);
  const count = group ? group.films.with_pneumonia + group.films.without : card.figures.validation?.films;
  return make("p", { class: "dim" }, t("answer.trust_text", {
    films: count?.toLocaleString(document.documentElement.lang) ?? "?",
    found: Math.round(100 * point.sensitivity),
    cleared: Math.round(100 * point.specificity),
  }));
}
