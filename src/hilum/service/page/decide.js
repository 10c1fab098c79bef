// What an answer says at another operating point, as `hilum predict --operating-point` would. Pure.

const OTHER_FINDING = "other_finding";

/** The operating points that hold for an answer: those of its group of patients where the model has groups. */
export function pointsFor(card, answer) {
  if (!card.groups?.length) return card.operating_points;
  const name = answer?.patient_group?.name ?? card.groups[0].name;
  return card.groups.find((group) => group.name === name).operating_points;
}

/** From the most to the least sensitive. */
export function inOrder(points) {
  return [...points].sort((one, other) => one.threshold - other.threshold);
}

/** The answer, decided anew at the operating point of this name; what has no probability only names it. */
export function decided(answer, card, name) {
  const point = pointsFor(card, answer).find((each) => each.name === name);
  if (answer.probability === null) {
    return { ...answer, operating_point: name, threshold: card.groups?.length ? null : rounded(point.threshold) };
  }
  const decision = answer.probability >= point.threshold ? "pneumonia" : "no_pneumonia";
  const decision_and_point = { decision, operating_point: name, threshold: rounded(point.threshold) };
  if (answer.finding === undefined || answer.finding === null) return { ...answer, ...decision_and_point };
  return { ...answer, ...decision_and_point, finding: finding(decision, answer) };
}

function finding(decision, answer) {
  if (decision === "pneumonia") return decision;
  const other = answer.probabilities[OTHER_FINDING];
  return other > 1 - answer.probability - other ? OTHER_FINDING : "normal";
}

/** As the service writes it. */
function rounded(threshold) {
  return Math.round(threshold * 1e6) / 1e6;
}

/** What is told of a film in one word, which has a shape and a color: the finding, or why there is none. */
export function verdict(film, card, point) {
  if (film.state === "answered") {
    const answer = decided(film.answer, card, point);
    return answer.decision === "no_pneumonia" && answer.finding === OTHER_FINDING ? OTHER_FINDING : answer.decision;
  }
  return film.state === "turned_away" ? "abstain" : film.state;
}

/** A probability for people, never rounded to certainty. */
export function percent(probability) {
  if (probability < 0.01) return "<1%";
  if (probability > 0.99) return ">99%";
  return `${Math.round(100 * probability)}%`;
}
