// The gate: whether a picture is an upright frontal chest film at all: bundle/gate.py. Pure.

import { spread, STRONGLY_COLORED } from "../radiograph/film.js";

const [SMALLEST, LONGEST, FLAT] = [64, 3.5, 0.02];
const SURE = 0.98;
const LESS_SURE = { lateral: 0.85, "no two lungs": 0 };
const DISTANCE = 0; // the column of the graph's gate; those of the states follow, the first of which is upright
const NAMED = {
  "turned by 90": ["rotated", "looks turned clockwise by 90 degrees", "turn it back by 90 degrees and try again"],
  "turned by 180": ["rotated", "looks turned clockwise by 180 degrees", "turn it by 180 degrees and try again"],
  "turned by 270": ["rotated", "looks turned clockwise by 270 degrees", "turn it back by 270 degrees and try again"],
  "inverted": ["inverted", "looks inverted, black for white", "invert it (hilum predict --invert) and try again"],
  "lateral": ["lateral", "looks like a lateral film", "give the frontal one of the study"],
  "no two lungs": ["no_two_lungs", "no two lungs were found", "give one whole upright frontal chest film"],
};

/** Passed, or the first reason to abstain. `row` is what the graph's output `gate` says of the film, null without one. */
export function gateVerdict(film, row, card) {
  const distance = row ? row[DISTANCE] : null;
  const refused = plainChecks(film);
  if (refused) return { ...refused, distance };
  if (!row || !card) return { passed: true, reason: null, detail: null, distance: null };
  let notUpright = 0;
  for (const share of row.subarray(2)) notUpright = Math.fround(notUpright + share);
  if (notUpright > card.turned_limit) return { ...named(row, card.states), distance };
  // Not `> 1`: a network that gives no number has not seen a film.
  if (!(distance <= 1)) return { ...no("not_a_chest_film", unlike(distance)), distance };
  return { passed: true, reason: null, detail: null, distance };
}

/** What is wrong with a picture as seen without the network; null where nothing is. */
function plainChecks(film) {
  const { fullHeight, fullWidth } = film;
  const [short, long] = [Math.min(fullHeight, fullWidth), Math.max(fullHeight, fullWidth)];
  if (short < SMALLEST) {
    return no("too_small", `${fullWidth} x ${fullHeight} pixels show no detail of a lung; give the film at its full size`);
  }
  if (film.colorfulness > STRONGLY_COLORED) {
    return no("color_photograph", "a color picture, and films are grey; give the file that the film came in");
  }
  if (long > LONGEST * short) {
    const detail = `one side is ${(long / short).toFixed(1)} times the other; give one whole frontal chest film`;
    return no("odd_shape", detail);
  }
  if (film.lateral) return no("lateral", "its header calls it a lateral film; give the frontal one of the study");
  if (spread(film) < FLAT) {
    return no("blank", "nearly the same grey everywhere; look at the picture, and export the film again");
  }
  return null;
}

function named(row, states) {
  const shares = row.subarray(2);
  const likeliest = shares.indexOf(Math.max(...shares));
  const far = unlike(row[DISTANCE]);
  const state = states[likeliest + 1];
  if (!NAMED[state]) return no("not_a_chest_film", far);
  const [reason, looks, repair] = NAMED[state];
  if (shares[likeliest] < (LESS_SURE[state] ?? SURE)) {
    return no("not_a_chest_film", `${far} (if it is one, it ${looks})`);
  }
  return no(reason, `${looks}; ${repair}`);
}

function unlike(distance) {
  const far = distance > 1 ? ` (${distance.toFixed(1)} times the limit)` : "";
  return `unlike the films this model knows${far}; give an upright frontal chest film`;
}

function no(reason, detail) {
  return { passed: false, reason, detail };
}
