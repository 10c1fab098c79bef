// The film with what was found over it, as a picture to take along. Needs a canvas.

import { in256 } from "../radiograph/film.js";
import { percent } from "../decide.js";
import { RESEARCH_USE } from "./decide.js";
import { resized } from "./resample.js";

const [TALLEST, WIDEST, NARROWEST, MARGIN, LINE] = [1200, 1500, 640, 24, 30];
const [BACKGROUND, TEXT, DIM, BOX] = ["#111215", "#f0f0f0", "#a5aab4", "#40e0ff"];
const WORDS = { pneumonia: "Pneumonia", no_pneumonia: "No pneumonia", abstain: "Abstained" };

/** @param {OffscreenCanvas | null} heatmap */
export function drawnOverlay(answer, film, heatmap, card) {
  const scale = Math.min(TALLEST / film.height, WIDEST / film.width, 1);
  const [height, width] = [Math.max(Math.round(film.height * scale), 1), Math.max(Math.round(film.width * scale), 1)];
  const canvas = new OffscreenCanvas(Math.max(width, NARROWEST) + 2 * MARGIN, height + 4 * LINE + 3 * MARGIN);
  const pen = canvas.getContext("2d");
  pen.fillStyle = BACKGROUND;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const write = (text, line, color, size) => {
    Object.assign(pen, { fillStyle: color, font: `${size}px sans-serif`, textBaseline: "alphabetic" });
    pen.fillText(text, MARGIN, line, canvas.width - 2 * MARGIN);
  };
  const sure = answer.probability === null ? "" : ` \u00b7 probability of pneumonia ${percent(answer.probability)}`;
  write(WORDS[answer.decision] + sure, MARGIN + LINE - 4, TEXT, 26);
  write(why(answer), MARGIN + 2 * LINE - 8, DIM, 16);
  const top = 2 * MARGIN + 2 * LINE;
  pen.drawImage(drawnFilm(film, height, width), MARGIN, top);
  if (heatmap) pen.drawImage(heatmap, MARGIN, top, width, height);
  for (const box of [...answer.boxes].reverse()) drawBox(pen, box, film, { left: MARGIN, top, height, width });
  write(`${card.title || card.name} (${card.digest})`, canvas.height - MARGIN - LINE + 8, DIM, 14);
  write(RESEARCH_USE, canvas.height - MARGIN, DIM, 14);
  return canvas;
}

function why(answer) {
  if (answer.decision === "abstain") return `${answer.gate.reason.replaceAll("_", " ")}: ${answer.gate.detail}`;
  const compared = answer.decision === "pneumonia" ? "At or above" : "Below";
  return `${compared} ${percent(answer.threshold)}, the threshold of the operating point \u201c${answer.operating_point}\u201d`;
}

function drawnFilm(film, height, width) {
  const levels = resized({ values: in256(film), height: film.height, width: film.width }, height, width, [0, 0, film.width, film.height]);
  const pixels = new Uint8ClampedArray(4 * levels.values.length);
  levels.values.forEach((level, place) => pixels.set([level, level, level, 255], 4 * place));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

function drawBox(pen, box, film, { left, top, height, width }) {
  const [across, down] = [width / film.fullWidth, height / film.fullHeight];
  const sides = [left + box.x * across, top + box.y * down, box.width * across, box.height * down];
  Object.assign(pen, { strokeStyle: "#000", lineWidth: 5 });
  pen.strokeRect(...sides);
  Object.assign(pen, { strokeStyle: BOX, lineWidth: 3 });
  pen.strokeRect(...sides);
  const label = `${box.label} ${percent(box.score)}`;
  pen.font = "16px sans-serif";
  const wide = pen.measureText(label).width + 12;
  const y = sides[1] - 24 >= top ? sides[1] - 24 : sides[1];
  pen.fillStyle = BOX;
  pen.fillRect(sides[0], y, wide, 24);
  pen.fillStyle = "#000";
  pen.textBaseline = "middle";
  pen.fillText(label, sides[0] + 6, y + 12);
}
