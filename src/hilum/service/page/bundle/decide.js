// What a bundle says of a film that it has looked at, as `hilum predict --json` prints it: bundle/decide.py. Pure.
//
// Decided at the bundle's default operating point; decide.js of the page decides anew at the others.

import { boxToFilm } from "./place.js";

export const RESEARCH_USE = "Research use only, not a medical device.";
const PATIENTS = ["child", "adult"];
const OTHER_FINDING = "other_finding";

/**
 * `reading` is what the graph and the gate say: {film, gate, probabilities, groups, boxes, scores}, as typed arrays.
 * @param {{operating_point?: string | null, patient?: string | null}} asked
 */
export function decide(card, reading, asked, version) {
  const name = asked.operating_point ?? card.default_point;
  const common = {
    file: null, decision: null, finding: null, probability: null, probabilities: null, patient_group: null,
    operating_point: name, threshold: null, gate: reading.gate, boxes: [],
    box_threshold: card.boxes ? rounded(card.boxes.threshold) : null,
    height: reading.film.fullHeight, width: reading.film.fullWidth, warnings: reading.film.warnings, error: null,
    research_use: RESEARCH_USE, bundle: card.digest, hilum: version,
  };
  common.gate = { ...common.gate, distance: rounded(common.gate.distance) };
  const numbers = [...reading.probabilities, ...(reading.groups ?? [])];
  if (!numbers.every(Number.isFinite)) return null;
  if (!reading.gate.passed) return { ...common, decision: "abstain", threshold: thresholdOf(card, name, null) };
  const patient = patientGroup(card, reading, asked);
  const row = classProbabilities(card, reading, patient);
  const positive = card.classes.map((label) => card.positive.includes(label));
  const probability = Math.min(Math.max(row.reduce((sum, value, at) => sum + (positive[at] ? value : 0), 0), 0), 1);
  const threshold = thresholdOf(card, name, patient);
  const decision = probability >= threshold ? "pneumonia" : "no_pneumonia";
  const probabilities = named(card, row, patient, probability);
  return {
    ...common,
    decision,
    finding: finding(decision, probabilities, probability),
    probability: rounded(probability),
    probabilities: Object.fromEntries(Object.entries(probabilities).map(([label, value]) => [label, rounded(value)])),
    patient_group: patient && { ...patient, probability: rounded(patient.probability) },
    threshold: rounded(threshold),
    boxes: boxes(card, reading),
  };
}

/** Where the film speaks for pneumonia rather than against it, in the places of the heatmaps; null without any. */
export function evidence(card, reading, asked) {
  if (!reading.heatmaps) return null;
  const row = classProbabilities(card, reading, patientGroup(card, reading, asked));
  const weights = new Float32Array(row.length);
  for (const side of [true, false]) {
    const members = row.map((_, at) => at).filter((at) => card.positive.includes(card.classes[at]) === side);
    const shares = members.map((at) => Math.max(row[at], 1e-12));
    const sum = shares.reduce((total, share) => total + share, 0);
    members.forEach((at, number) => (weights[at] = ((side ? 1 : -1) * shares[number]) / sum));
  }
  const { values, height, width } = reading.heatmaps;
  const size = height * width;
  const map = Float32Array.from({ length: size }, (_, place) =>
    weights.reduce((sum, weight, label) => sum + weight * values[label * size + place], 0));
  return { values: map, height, width };
}

/** Whose film it is: what is asked comes first, then the age in its DICOM header, then what the network says. */
function patientGroup(card, { film, groups }, asked) {
  if (!card.groups?.length || !groups) return null;
  if (asked.patient) return { name: asked.patient, by: "asked", probability: null };
  if (film.patient) return { name: film.patient, by: "dicom_age", probability: null };
  const likeliest = groups.indexOf(Math.max(...groups));
  return { name: PATIENTS[likeliest], by: "network", probability: groups[likeliest] };
}

/** The graph's probability of each class, as calibrated for the group of patients. */
function classProbabilities(card, { probabilities }, patient) {
  const count = card.classes.length;
  const start = patient === null ? 0 : PATIENTS.indexOf(patient.name) * count;
  return Array.from(probabilities.subarray(start, start + count));
}

function thresholdOf(card, name, patient) {
  if (card.groups?.length && patient === null) return null;
  const points = patient && card.groups?.length ? groupOf(card, patient).operating_points : card.operating_points;
  return points.find((point) => point.name === name).threshold;
}

function groupOf(card, patient) {
  return card.groups.find((group) => group.name === patient.name);
}

/** The kinds of pneumonia are told apart only where the bundle can. */
function named(card, row, patient, probability) {
  const all = card.classes.map((label, at) => [label, row[at]]);
  if (patient === null || card.positive.length < 2 || groupOf(card, patient).tells_kinds) return Object.fromEntries(all);
  return Object.fromEntries([...all.filter(([label]) => !card.positive.includes(label)), ["pneumonia", probability]]);
}

function finding(decision, probabilities, pneumonia) {
  if (!(OTHER_FINDING in probabilities)) return null;
  if (decision === "pneumonia") return decision;
  const other = probabilities[OTHER_FINDING];
  return other > 1 - pneumonia - other ? OTHER_FINDING : "normal";
}

function boxes(card, { film, boxes: sides, scores }) {
  if (!card.boxes || !sides || !scores) return [];
  const label = card.positive.length === 1 ? card.positive[0] : "pneumonia";
  const { fullHeight, fullWidth } = film;
  const found = Array.from(scores, (score, number) => {
    if (!(score > 0 && score >= card.boxes.threshold)) return null;
    const box = boxToFilm(card.geometry, sides.subarray(4 * number, 4 * number + 4), fullHeight, fullWidth);
    if (!(Math.min(box.width, box.height) > 0)) return null;
    const inPixels = (share, size) => Number((share * size).toFixed(3));
    return {
      x: inPixels(box.x, fullWidth), y: inPixels(box.y, fullHeight),
      width: inPixels(box.width, fullWidth), height: inPixels(box.height, fullHeight), score: rounded(score), label,
    };
  });
  return found.filter((box) => box);
}

function rounded(value) {
  return value === null || value === undefined ? null : Number(value.toFixed(6));
}
