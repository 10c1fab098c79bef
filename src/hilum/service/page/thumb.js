// A small picture of a film.

import { shades } from "./window.js";

/** A film's small picture on its canvas. */
export function drawThumb(canvas, { grey, width, height }) {
  const table = shades({ width: 65535, center: 32767.5 }, 16, false);
  const picture = new ImageData(width, height);
  new Uint32Array(picture.data.buffer).set(Uint32Array.from(grey, (value) => table[value]));
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d").putImageData(picture, 0, 0);
  const ratio = 2;
  const size = 48 * ratio;
  Object.assign(canvas, { width: size, height: size });
  const scale = Math.min(size / width, size / height);
  const pen = canvas.getContext("2d");
  pen.fillRect(0, 0, size, size);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(whole, (size - width * scale) / 2, (size - height * scale) / 2, width * scale, height * scale);
}
