// What the model says of itself.

import { inOrder } from "./decide.js";
import { make, the } from "./dom.js";
import { called, share, t } from "./words.js";

/** @param {string | null} judge the words for what judges films on this computer, if they are judged here */
export function drawCard(card, judge) {
  the("card-title").textContent = card.title || card.name;
  const english = (text) => make("p", { lang: "en" }, text);
  const points = card.groups?.length
    ? card.groups.flatMap((group) => [make("h4", {}, t(`group.${group.name}`)), table(group.operating_points)])
    : [table(card.operating_points)];
  const count = Object.values(card.data.counts.train ?? {}).reduce((sum, each) => sum + each, 0);
  const numbers = (value) => value.toLocaleString(document.documentElement.lang);
  const trained = t("card_words.films", {
    count: numbers(count), patients: numbers(card.data.patients.train ?? 0), split: card.data.source,
  });
  the("card-body").replaceChildren(
    make("h3", {}, t("card_words.use")), english(card.intended_use),
    make("h3", {}, t("card_words.limits")),
    make("ul", { lang: "en" }, ...card.limits.map((limit) => make("li", {}, limit))),
    make("h3", {}, t("card_words.points")), ...points,
    make("h3", {}, t("card_words.data")), make("p", {}, trained), english(card.data.license),
    make("h3", {}, t("card_words.digest")), make("p", { class: "digest" }, card.digest),
    ...(judge ? [make("h3", {}, t("card_words.judged_by")), make("p", { id: "judged-by" }, t(judge))] : []),
  );
}

function table(points) {
  const rows = inOrder(points).map((point) => {
    const found = { found: Math.round(100 * point.sensitivity), cleared: Math.round(100 * point.specificity) };
    return make(
      "tr", {}, make("th", { scope: "row" }, called("point", point.name)),
      make("td", { class: "number" }, t("answer.from", { percent: share(point.threshold) })),
      make("td", {}, t("answer.point_found", found)),
    );
  });
  return make("table", {}, make("tbody", {}, ...rows));
}
