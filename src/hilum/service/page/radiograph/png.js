// PNG, inflated and unfiltered here: browsers manage color and cut to 8 bits. radiograph/raster.py and Pillow.

import { checkSize } from "./bounds.js";
import { ascii, endsWithin, viewOf } from "./bytes.js";
import { damaged, ReadError, truncated } from "./errors.js";
import { colorfulness, colorWarning, evenTable, filmOf, greyOfColor, turnWarning } from "./film.js";
import { inflated } from "./inflate.js";
import { turnFromExif, turnFromXmp } from "./orientation.js";

const MAX_CHUNKS = 100000;
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const SAVE_AGAIN = "get the file again from its source";
const XMP = "XML:com.adobe.xmp\0\0\0";
// Columns and rows that each pass of an interlaced picture begins with, and its steps.
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/** The film in a PNG file of any depth or color type. */
export async function readPng(data) {
  const header = headerOf(data);
  checkSize(header.width, header.height);
  const chunks = chunksOf(data);
  if (!DEPTHS[header.color].includes(header.depth) || header.packed !== 0 || header.filter !== 0) throw refusal(data);
  const samples = await samplesOf(data, header, chunks);
  const { values, highest, color, warnings } = shades(header, chunks, samples);
  const { width, height, depth } = header;
  const turn = turnOf(chunks);
  const share = color ? colorfulness(color.samples, color.channels, height, width) : 0;
  const bits = warnings.length ? Math.log2(highest + 1) : depth;
  return filmOf({ values, height, width }, {
    table: evenTable(depth === 16 && header.color === 0 ? 65536 : 256, highest),
    format: "png", bits, turn, colorfulness: share,
    warnings: [...warnings, ...turnWarning(turn), ...colorWarning(share)],
  });
}

function headerOf(data) {
  if (data.length < 33 || ascii(data, 12, 16) !== "IHDR") {
    throw new ReadError("damaged", `the PNG has no header chunk; ${SAVE_AGAIN}`);
  }
  const view = viewOf(data);
  const [depth, color, packed, filter, interlaced] = data.subarray(24, 29);
  if (!(color in CHANNELS)) {
    throw new ReadError("inconsistent_header", `the PNG header states the unknown color type ${color}`);
  }
  return { width: view.getUint32(16), height: view.getUint32(20), depth, color, packed, filter, interlaced };
}

/** Palette, transparency, pixels and what tells the orientation, each as bytes. */
function chunksOf(data) {
  const view = viewOf(data);
  const found = { pixels: [], palette: null, alpha: null, exif: null, xmp: null };
  let place = 8;
  let ended = false;
  for (let number = 0; place + 8 <= data.length; number++) {
    if (number === MAX_CHUNKS) {
      throw new ReadError("too_large", `a PNG of more than ${MAX_CHUNKS.toLocaleString("en")} chunks, as no film has`);
    }
    const [length, kind] = [view.getUint32(place), ascii(data, place + 4, place + 8)];
    const body = data.subarray(place + 8, place + 8 + length);
    const end = place + 12 + length;
    if (kind === "IHDR" && number > 0) {
      throw new ReadError("inconsistent_header", "the PNG has several headers; save the film again");
    }
    if (kind === "acTL" && length >= 8 && viewOf(body).getUint32(0) > 1) {
      throw new ReadError("multi_frame", "an animated PNG; save the one film that is meant as its own file");
    }
    const critical = (data[place + 4] & 0x20) === 0 && kind !== "IDAT";
    if (critical && end <= data.length && crc32(data.subarray(place + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw refusal(data);
    }
    if (kind === "IDAT") {
      if (!ended) found.pixels.push(body);
    } else if (found.pixels.length && !["acTL", "fcTL", "fdAT"].includes(kind)) {
      ended = true; // pixels go on without anything between them, or are over
    }
    if (kind === "PLTE") found.palette = body;
    if (kind === "tRNS") found.alpha = body;
    if (kind === "eXIf") found.exif = body;
    if (kind === "iTXt" && ascii(body, 0, XMP.length) === XMP) found.xmp = body;
    if (kind === "IEND") break;
    place = end;
  }
  return found;
}

async function samplesOf(data, header, chunks) {
  const { width, height, depth, color, interlaced } = header;
  const bits = depth * CHANNELS[color];
  const passes = (interlaced ? PASSES : [[0, 0, 1, 1]])
    .map(([x, y, across, down]) => ({ x, y, across, down, width: steps(width, x, across), height: steps(height, y, down) }))
    .filter((pass) => pass.width && pass.height);
  const size = passes.reduce((sum, pass) => sum + pass.height * (1 + Math.ceil((pass.width * bits) / 8)), 0);
  let raw;
  try {
    raw = await inflated(chunks.pixels, size);
  } catch {
    throw refusal(data);
  }
  if (!raw) throw truncated("PNG");
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * CHANNELS[color]);
  let start = 0;
  for (const pass of passes) {
    const stride = Math.ceil((pass.width * bits) / 8);
    const lines = raw.subarray(start, (start += pass.height * (1 + stride)));
    if (!unfilter(lines, pass.height, stride, Math.max(bits >> 3, 1))) throw refusal(data);
    spread(lines, stride, pass, header, samples);
  }
  return samples;
}

function steps(size, first, step) {
  return Math.max(Math.ceil((size - first) / step), 0);
}

/** Undo what was done to each line to make it smaller, in place; false where nothing is known of that name. */
function unfilter(lines, height, stride, step) {
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1);
    const [filter, at, end, up] = [lines[start], start + 1, start + 1 + stride, stride + 1];
    if (filter > 4) return false;
    for (let place = at; filter > 0 && place < end; place++) {
      const left = place - at < step ? 0 : lines[place - step];
      const above = y === 0 ? 0 : lines[place - up];
      if (filter === 1) lines[place] += left;
      else if (filter === 2) lines[place] += above;
      else if (filter === 3) lines[place] += (left + above) >> 1;
      else lines[place] += nearest(left, above, y === 0 || place - at < step ? 0 : lines[place - step - up]);
    }
  }
  return true;
}

/** Paeth's predictor. */
function nearest(left, above, corner) {
  const [one, two, three] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  if (one <= two && one <= three) return left;
  return two <= three ? above : corner;
}

/** The samples of a pass to where they belong. */
function spread(lines, stride, pass, { width, depth, color }, samples) {
  const channels = CHANNELS[color];
  for (let row = 0; row < pass.height; row++) {
    const line = row * (stride + 1) + 1;
    let place = ((pass.y + row * pass.down) * width + pass.x) * channels;
    for (let column = 0; column < pass.width; column++, place += pass.across * channels) {
      for (let channel = 0; channel < channels; channel++) {
        const number = column * channels + channel;
        if (depth === 8) samples[place + channel] = lines[line + number];
        else if (depth === 16) samples[place + channel] = (lines[line + 2 * number] << 8) | lines[line + 2 * number + 1];
        else {
          const shift = 8 - depth - ((number * depth) & 7);
          samples[place + channel] = (lines[line + ((number * depth) >> 3)] >> shift) & ((1 << depth) - 1);
        }
      }
    }
  }
}

function shades({ depth, color }, chunks, samples) {
  if (color === 0 && depth === 16) return ofDepthInUse(samples);
  if (color === 0) {
    const step = 255 / ((1 << depth) - 1);
    const values = depth === 8 ? samples : samples.map((level) => level * step);
    return { values, highest: 255, color: null, warnings: [] };
  }
  const bytes = depth === 16 ? Uint8Array.from(samples, (level) => level >> 8) : samples;
  if (color === 3) return ofPalette(bytes, chunks);
  if (color === 4) {
    const [grey, alpha] = [bytes.filter((_, place) => place % 2 === 0), bytes.filter((_, place) => place % 2 === 1)];
    return { values: onBlack(grey, (place) => alpha[place]), highest: 255, color: null, warnings: [] };
  }
  const channels = CHANNELS[color];
  const key = color === 2 && depth === 8 && chunks.alpha?.length === 6 ? [1, 3, 5].map((at) => chunks.alpha[at]) : null;
  const alphaOf = color === 6 ? (place) => bytes[4 * place + 3]
    : key ? (place) => (key.every((level, channel) => bytes[3 * place + channel] === level) ? 0 : 255)
    : () => 255;
  const values = onBlack(greyOfColor(bytes, channels), alphaOf);
  return { values, highest: 255, color: { samples: bytes, channels }, warnings: [] };
}

/** 16 bits of which detectors use 10, 12 or 14. */
function ofDepthInUse(values) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  const used = [8, 10, 12, 14, 16].find((bits) => most < 2 ** bits);
  const detail = `a 16-bit picture that uses ${used} bits; scaled by these`;
  const warnings = used < 16 ? [{ code: "shallow_levels", detail }] : [];
  return { values, highest: 2 ** used - 1, color: null, warnings };
}

function ofPalette(places, { palette, alpha }) {
  if (!palette) throw new ReadError("damaged", `the colors cannot be made out; ${SAVE_AGAIN}`);
  const colors = Uint8Array.from({ length: 768 }, (_, at) => (at < palette.length ? palette[at] : Math.floor(at / 3)));
  const samples = new Uint8Array(places.length * 3);
  for (let place = 0; place < places.length; place++) {
    for (let channel = 0; channel < 3; channel++) samples[3 * place + channel] = colors[3 * places[place] + channel];
  }
  const values = onBlack(greyOfColor(samples, 3), (place) => alpha?.[places[place]] ?? 255);
  return { values, highest: 255, color: { samples, channels: 3 }, warnings: [] };
}

/** What is transparent is black. */
function onBlack(grey, alphaOf) {
  return grey.map((level, place) => Math.floor((level * alphaOf(place)) / 255));
}

function turnOf({ exif, xmp }) {
  const turn = exif ? turnFromExif(exif) : 1;
  return turn === 1 && xmp ? turnFromXmp(xmp) : turn;
}

function refusal(data) {
  return endsWithin(data, [0x49, 0x45, 0x4e, 0x44]) ? damaged("PNG") : truncated("PNG");
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
  return sum;
});

function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = CRC[(sum ^ byte) & 0xff] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
