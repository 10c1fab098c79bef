// What can be taken along: the picture, the answers as JSON and CSV, a report on paper.

import { decided } from "./decide.js";
import { make, the } from "./dom.js";
import { inWords } from "./list.js";
import { why } from "./answer.js";
import { called, share, t } from "./words.js";

/** The answer for a film as `hilum predict --json` prints it, at the chosen operating point and under its own name. */
export function answerOf(film, films) {
  if (film.state === "unreadable") return { file: film.name, error: `${film.problem.reason}: ${film.problem.detail}` };
  return film.answer && { ...decided(film.answer, films.card, films.point), file: film.name };
}

export function saveJson(film, films) {
  const text = JSON.stringify(answerOf(film, films), null, 2);
  save(new Blob([`${text}\n`], { type: "application/json" }), `${stem(film)}.json`);
}

/** All films that are done, a row each, with the columns of `hilum predict --csv`. */
export function saveCsv(films) {
  const answers = films.sorted.map((film) => answerOf(film, films)).filter((answer) => answer);
  save(new Blob([csv(answers, films.card)], { type: "text/csv" }), "hilum.csv");
}

/** Pure: the rows as text. */
export function csv(answers, card) {
  const finding = card.classes.includes("other_finding");
  const header = [
    "file", "decision", ...(finding ? ["finding"] : []), "probability", ...card.classes.map((name) => `p_${name}`),
    ...(card.groups?.length ? ["patient_group", "patient_group_by", "patient_group_probability"] : []),
    "operating_point", "threshold", "gate", "gate_reason", "gate_distance", "height", "width",
    ...(card.boxes ? ["boxes"] : []), "warnings", "error", "research_use", "bundle", "hilum",
  ];
  const lines = answers.map((answer) => {
    const gate = answer.gate ?? {};
    const cells = {
      ...answer,
      ...Object.fromEntries(Object.entries(answer.probabilities ?? {}).map(([name, value]) => [`p_${name}`, value])),
      patient_group: answer.patient_group?.name,
      patient_group_by: answer.patient_group?.by,
      patient_group_probability: answer.patient_group?.probability,
      gate: answer.error ? "" : { true: "passed", false: "failed", null: "off" }[String(gate.passed)],
      gate_reason: gate.reason,
      gate_distance: gate.distance,
      boxes: (answer.boxes ?? []).flatMap(({ score, x, y, width, height }) => [score, x, y, width, height]).join(" "),
      warnings: (answer.warnings ?? []).map((warning) => warning.detail).join("; "),
    };
    return header.map((name) => cell(cells[name])).join(",");
  });
  return [header.join(","), ...lines, ""].join("\r\n");
}

/** No cell that a spreadsheet would take for a formula: one that begins like one gets an apostrophe before it. */
function cell(value) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && /^'*[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The film with what was found over it, as `hilum predict --heatmap` draws it. */
export async function savePicture(film, films, engine) {
  const asked = { model: films.card.model, operating_point: films.point, patient: film.patient, overlay: true };
  const { overlay } = await engine.predict(film.file, asked);
  save(overlay, `${stem(film)}.png`);
}

/** One page for the printer: the film as it stands on the screen, and what is said of it. */
export function print(film, films, canvas) {
  const answer = answerOf(film, films);
  const picture = make("img", { alt: film.name, src: canvas.toDataURL("image/png") });
  const rows = Object.entries(answer.probabilities ?? {}).map(([name, value]) => [called("class", name), share(value)]);
  const made = t("report.made", {
    when: new Date().toLocaleString(document.documentElement.lang),
    version: answer.hilum ?? "",
    model: films.card.title || films.card.name,
    digest: films.card.digest,
  });
  the("report").replaceChildren(
    make("p", {}, t("report.title"), " · ", t("research_use")),
    make("h1", {}, inWords(film, films)),
    make("p", {}, film.name),
    make("p", {}, film.state === "answered" ? pointInWords(answer, films) : why(film)),
    make("table", {}, ...rows.map(([name, value]) => make("tr", {}, make("th", {}, name), make("td", {}, value)))),
    picture,
    make("p", {}, made),
  );
  picture.decode().then(() => window.print());
}

function pointInWords(answer, films) {
  const key = answer.decision === "pneumonia" ? "answer.because_above" : "answer.because_below";
  return t(key, { percent: share(answer.threshold), point: called("point", films.point) });
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function stem(film) {
  return film.name.replace(/\.(dcm|dicom|jpe?g|png)$/i, "");
}
