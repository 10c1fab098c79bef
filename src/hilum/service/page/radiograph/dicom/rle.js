// DICOM's run-length encoding (PS3.5 annex G): radiograph/dicom/rle.py.

import { viewOf } from "../bytes.js";
import { ReadError } from "../errors.js";

/** The byte planes of a frame one after the other, most significant first, each of `size` bytes. */
export function decodeRle(frame, segments, size) {
  if (frame.length < 64) throw new ReadError("truncated_pixel_data", "the run-length header is cut short; copy the file again");
  const view = viewOf(frame);
  const count = view.getUint32(0, true);
  if (count !== segments) {
    throw new ReadError(
      "inconsistent_header", `the run-length data has ${count} segments where the header needs ${segments}`,
    );
  }
  const offsets = Array.from({ length: count }, (_, place) => view.getUint32(4 + 4 * place, true));
  const planes = new Uint8Array(segments * size);
  offsets.forEach((start, number) => {
    decodeSegment(frame.subarray(start, offsets[number + 1] ?? frame.length), planes.subarray(number * size, (number + 1) * size));
  });
  return planes;
}

/** One plane. Whatever follows once it is full is padding; a run across its end is damage. */
function decodeSegment(segment, plane) {
  const past = () => new ReadError("damaged", "the run-length data expand past the size that the header claims");
  let [filled, position] = [0, 0];
  while (filled < plane.length && position < segment.length) {
    const control = segment[position];
    if (control < 128) {
      const literal = segment.subarray(position + 1, position + 2 + control);
      if (filled + literal.length > plane.length) throw past();
      plane.set(literal, filled);
      filled += literal.length;
      position += control + 2;
    } else if (control > 128) {
      const run = position + 1 < segment.length ? 257 - control : 0;
      if (filled + run > plane.length) throw past();
      plane.fill(segment[position + 1], filled, filled + run);
      filled += run;
      position += 2;
    } else position++;
  }
  if (filled < plane.length) {
    const [held, needed] = [filled, plane.length].map((bytes) => bytes.toLocaleString("en"));
    throw new ReadError("truncated_pixel_data", `a run-length segment holds ${held} of ${needed} bytes; copy the file again`);
  }
}
