// What is drawn over a film on a canvas, by the page of answers and the reading room alike.

/** Each line on a dark one that is wider: films are white in places. @returns {[string, number][]} */
export const drawnTwice = (color) => [["#000", 4], [color, 2]];

/** A box of the film with its label. @param {any} pen @param {import("./geometry.js").View} view */
export function drawBox(pen, view, box, color, label) {
  const ratio = devicePixelRatio;
  const [x, y] = [view.x + box.x * view.scale, view.y + box.y * view.scale];
  for (const [stroke, line] of drawnTwice(color)) {
    pen.strokeStyle = stroke;
    pen.lineWidth = line * ratio;
    pen.strokeRect(x, y, box.width * view.scale, box.height * view.scale);
  }
  pen.font = `${12 * ratio}px system-ui, sans-serif`;
  const [across, down] = [pen.measureText(label).width + 8 * ratio, 18 * ratio];
  const above = y - down > 0 ? y - down : y;
  pen.fillStyle = color;
  pen.fillRect(x - ratio, above, across, down);
  pen.fillStyle = "#000";
  pen.textBaseline = "middle";
  pen.fillText(label, x + 3 * ratio, above + down / 2);
}
