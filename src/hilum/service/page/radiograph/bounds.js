// What a film claims of its size, and the limits on it: radiograph/bounds.py, in the browser.

import { find, viewOf } from "./bytes.js";
import { ReadError, truncated } from "./errors.js";

export const MAX_FILE_BYTES = 512 * 1024 * 1024;
export const MAX_MEGAPIXELS = 64;
const MAX_JPEG_SCANS = 200;
const [MAX_JPEG_SEGMENTS, MAX_JPEG_JUNK] = [1000, 100000];
const [MAX_JPEG2000_TILES, MAX_JPEG2000_PARTS] = [4096, 100000];
const [LARGE_PIXELS, MAX_PIXELS_A_BYTE] = [16e6, 1000];
const NO_FRAME = new Set([0xc4, 0xc8, 0xcc]);
export const LOSSLESS = [0xc3, 0xc7, 0xcb, 0xcf];
export const JPEG_LS = 0xf7;

/** @typedef {{width: number, height: number, components: number, precision: number, signed: boolean, process: number}} Claim */

/** The limit on what is decoded, asked before every allocation that follows from a claim. */
export function checkSize(width, height) {
  if (width < 1 || height < 1) {
    throw new ReadError("inconsistent_header", `the header claims a picture of ${width} x ${height} pixels`);
  }
  if (width * height > MAX_MEGAPIXELS * 1e6) {
    throw new ReadError(
      "too_large", `the header claims ${width} x ${height} pixels, over the limit of ${MAX_MEGAPIXELS} megapixels`,
    );
  }
}

/** A few bytes that claim a huge picture keep a decoder busy for seconds before it notices that they end. */
export function checkDensity(pixels, bytes) {
  if (pixels > LARGE_PIXELS && pixels > MAX_PIXELS_A_BYTE * bytes) {
    const detail = `${bytes.toLocaleString("en")} bytes cannot hold ${pixels.toLocaleString("en")} pixels; copy the file again`;
    throw new ReadError("truncated_pixel_data", detail);
  }
}

/** The frame header of a JPEG or JPEG-LS stream. @returns {Claim} */
export function jpegClaim(data) {
  let [claim, position, segments, junk] = [null, 2, 0, 0];
  for (;;) {
    if (segments > MAX_JPEG_SEGMENTS || junk > MAX_JPEG_JUNK) {
      throw new ReadError("too_large", "the JPEG has more in front of its picture than any film");
    }
    const start = data.indexOf(0xff, position);
    if (start < 0 || start + 4 > data.length) {
      if (claim === null) break;
      throw truncated("JPEG");
    }
    junk += start - position;
    const marker = data[start + 1];
    if ([0xff, 0x00, 0x01].includes(marker) || (marker >= 0xd0 && marker <= 0xd8)) {
      junk++;
      position = start + (marker === 0xff ? 1 : 2);
      continue;
    }
    position = start + 2 + (data[start + 2] << 8) + data[start + 3];
    segments++;
    const frame = marker === JPEG_LS || (marker >= 0xc0 && marker <= 0xcf && !NO_FRAME.has(marker));
    if (frame && claim === null) claim = frameHeader(marker, data.subarray(start + 4, start + 10));
    else if (marker === 0xda && claim !== null) return claim;
    else if (marker === 0xd9 || marker === 0xda) break;
    else if (marker === 0xc8 || marker >= 0xf0) junk += position - start;
  }
  throw new ReadError("damaged", "the JPEG has no frame header; get the file again from its source");
}

function frameHeader(process, header) {
  if (header.length < 6) throw new ReadError("damaged", "the JPEG has no frame header; get the file again from its source");
  const [precision, components] = [header[0], header[5]];
  const [height, width] = [(header[1] << 8) + header[2], (header[3] << 8) + header[4]];
  if (height === 0) throw new ReadError("unsupported_encoding", "the JPEG states its height after the picture (DNL)");
  return { width, height, components, precision, signed: false, process };
}

/** A small file of thousands of scans would keep a decoder busy for minutes. */
export function checkJpegScans(data, claim) {
  if (claim.components === 1 && (claim.process === 0xc0 || claim.process === 0xc1)) return;
  let scans = 0;
  for (let at = find(data, [0xff, 0xda]); at >= 0; at = find(data, [0xff, 0xda], at + 2)) scans++;
  if (scans > MAX_JPEG_SCANS) {
    throw new ReadError("too_large", `the JPEG has ${scans} scans; real films have at most a few dozen`);
  }
}

/** The size marker of a JPEG 2000 codestream. @returns {Claim} */
export function jpeg2000Claim(data) {
  const start = find(data, [0xff, 0x4f, 0xff, 0x51]);
  if (start < 0 || data.length < start + 43) {
    throw new ReadError("damaged", "the JPEG 2000 stream has no size marker; get the file again from its source");
  }
  const view = viewOf(data);
  const [right, bottom, left, top, across, down] = [8, 12, 16, 20, 24, 28].map((at) => view.getUint32(start + at));
  const [width, height, depth] = [right - left, bottom - top, data[start + 42]];
  checkSize(width, height);
  const tiles = across && down ? Math.ceil(right / across) * Math.ceil(bottom / down) : 0;
  if (!(tiles >= 1 && tiles <= MAX_JPEG2000_TILES)) {
    throw new ReadError("too_large", `the JPEG 2000 stream claims ${tiles} tiles`);
  }
  const components = view.getUint16(start + 40);
  return { width, height, components, precision: (depth & 0x7f) + 1, signed: depth >= 0x80, process: 0 };
}

/** OpenJPEG fills what is missing with black, so a stream that ends inside a tile is refused here. */
export function checkJpeg2000Complete(data) {
  const view = viewOf(data);
  let position = find(data, [0xff, 0x4f, 0xff, 0x51]) + 2;
  const isPart = () => data[position] === 0xff && data[position + 1] === 0x90;
  for (let parts = 0; position + 10 <= data.length; parts++) {
    if (parts > MAX_JPEG2000_PARTS) throw new ReadError("too_large", "the JPEG 2000 stream has more parts than any film");
    if (isPart()) {
      const length = view.getUint32(position + 6);
      if (length === 0) return; // the last tile runs to the end of the stream
      position += Math.max(length, 12);
      if (position <= data.length && !isPart()) return;
    } else {
      position += 2 + view.getUint16(position + 2);
    }
  }
  if (position > data.length) {
    throw new ReadError("truncated_pixel_data", "the JPEG 2000 stream ends inside a tile; copy the file again");
  }
}

/** Without the end marker CharLS can go on reading zeros for seconds. Some writers pad behind it, with FF too. */
export function checkJpegLsEnd(data) {
  let end = data.length;
  while (end > 0 && (data[end - 1] === 0 || data[end - 1] === 0xff)) end--;
  if (data[end - 1] !== 0xd9 || data[end - 2] !== 0xff) {
    throw new ReadError("truncated_pixel_data", "the JPEG-LS stream has no end; copy the file again");
  }
}
