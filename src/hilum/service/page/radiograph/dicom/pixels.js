// From the pixel element of a DICOM file to stored values: radiograph/dicom/pixels.py.

import {
  checkDensity, checkJpeg2000Complete, checkJpegLsEnd, checkJpegScans, checkSize, JPEG_LS, jpeg2000Claim, jpegClaim, LOSSLESS,
} from "../bounds.js";
import { ascii, endsWithin, find, startsWith, viewOf } from "../bytes.js";
import { decode, decodeLossless } from "../codecs.js";
import { damaged, ReadError, truncated } from "../errors.js";
import { decodeJpeg } from "../jpeg.js";
import { DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE } from "./header.js";
import { decodeRle } from "./rle.js";

const NATIVE = [null, IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED];
const LONG_VRS = ["OB", "OW", "UN", "OF", "OD", "OL", "OV"];
const MAX_FRAGMENTS = 100000;
const [JPEG2000, JP2] = [[0xff, 0x4f, 0xff, 0x51], [0, 0, 0, 0x0c, 0x6a, 0x50, 0x20, 0x20]];
const ITEM = [0xfe, 0xff, 0x00, 0xe0];
const UNDEFINED = 0xffffffff;
const numbers = (value) => value.toLocaleString("en");

/** @typedef {{rows: number, columns: number, samples: number, allocated: number, stored: number, signed: boolean, photometric: string}} Layout */

/**
 * The stored values of a film with one sample a pixel, of which the lowest `bits` count.
 * @returns {Promise<{values: Uint8Array | Uint16Array, height: number, width: number, bits: number, signed: boolean}>}
 */
export async function readStored(opened, layout, atLeast) {
  const { encapsulated, value } = pixelElement(opened, layout);
  const { rows: height, columns: width } = layout;
  const plain = (values) => ({ values, height, width, bits: layout.stored, signed: layout.signed });
  if (!encapsulated) return plain(words(value, layout, opened.header.source.little));
  const frame = oneFrame(value);
  if (startsWith(frame, [0xff, 0xd8])) return decodeJpegFamily(frame, layout, atLeast);
  if (startsWith(frame, JPEG2000)) return decodeJpeg2000(frame, layout);
  if (opened.transferSyntax === RLE) {
    const planes = decodeRle(frame, layout.allocated / 8, height * width);
    if (layout.allocated === 8) return plain(planes);
    const size = height * width;
    return plain(Uint16Array.from({ length: size }, (_, place) => (planes[place] << 8) | planes[size + place]));
  }
  throw refuseEncoding(opened);
}

/** Red, green and blue of a color film, 8 bits each; a rare secondary capture. */
export async function readColor(opened, layout) {
  const { encapsulated, value } = pixelElement(opened, layout);
  const { rows, columns, photometric } = layout;
  if (layout.allocated !== 8) throw refuseEncoding(opened);
  const size = rows * columns;
  if (encapsulated) {
    const frame = oneFrame(value);
    if (opened.transferSyntax === RLE) return inRgb(interleaved(decodeRle(frame, 3, size), size), photometric);
    if (!startsWith(frame, [0xff, 0xd8])) throw refuseEncoding(opened);
    const claim = jpegClaim(frame);
    checkStream(claim, frame, layout);
    checkJpegScans(frame, claim);
    if (claim.precision !== 8 || LOSSLESS.includes(claim.process) || claim.process === JPEG_LS) throw refuseEncoding(opened);
    const { bytes } = await decode("libjpeg-turbo", "JPEGDecoder", frame, "JPEG");
    if (bytes.length !== 3 * size) throw damaged("JPEG");
    return bytes;
  }
  if (photometric === "YBR_FULL_422") return inRgb(shared(value, size), photometric);
  return inRgb(opened.header.word(0x00280006) === 1 ? interleaved(value, size) : value.slice(), photometric);
}

/** Whether the pixels are encapsulated, and their bytes (native ones no more than the header needs). */
function pixelElement({ data, position, header, transferSyntax, encoding }, layout) {
  const view = viewOf(data);
  const { little } = header.source;
  const vr = ascii(data, position + 4, position + 6);
  const long = LONG_VRS.includes(vr);
  const start = position + (long ? 12 : 8);
  if (start > data.length) throw new ReadError("truncated_pixel_data", "the file ends before its pixels; copy the file again");
  const length = view.getUint32(start - 4, little);
  if (length === UNDEFINED) return { encapsulated: true, value: data.subarray(start) };
  if (!NATIVE.includes(transferSyntax)) {
    const value = data.subarray(start, start + length);
    if (startsWith(value, ITEM)) return { encapsulated: true, value };
    const detail = `the header states ${encoding}, but the pixels are not encapsulated as that needs`;
    throw new ReadError("inconsistent_header", detail);
  }
  const needed = layout.rows * layout.columns * (layout.photometric === "YBR_FULL_422" ? 2 : layout.samples) * (layout.allocated / 8);
  const value = data.subarray(start, start + Math.min(length, needed));
  if (value.length < needed) {
    const detail = `the pixels end after ${numbers(value.length)} of ${numbers(needed)} bytes; copy the file again`;
    throw new ReadError("truncated_pixel_data", detail);
  }
  const swapped = vr === "OW" && layout.allocated === 8 && !little;
  return { encapsulated: false, value: swapped ? inPairs(value) : value };
}

/** Bytes that stand in words of which the other end comes first. */
function inPairs(value) {
  return value.map((_, place) => value[place + 1 - 2 * (place % 2)] ?? value[place]);
}

function words(value, { allocated }, little) {
  if (allocated === 8) return value.slice();
  const view = viewOf(value);
  return Uint16Array.from({ length: value.length / 2 }, (_, place) => view.getUint16(2 * place, little));
}

/** The fragments of a single-frame encapsulated value, joined. */
function oneFrame(value) {
  const view = viewOf(value);
  const fragments = [];
  let position = 0;
  while (position + 8 <= value.length && startsWith(value, ITEM, position)) {
    if (fragments.length > MAX_FRAGMENTS) {
      throw new ReadError("too_large", `the pixels are in more than ${numbers(MAX_FRAGMENTS)} pieces, as no film's are`);
    }
    const length = view.getUint32(position + 4, true);
    position += 8;
    if (position + length > value.length) {
      const early = numbers(position + length - value.length);
      throw new ReadError("truncated_pixel_data", `the compressed pixels end ${early} bytes early; copy the file again`);
    }
    fragments.push(value.subarray(position, position + length));
    position += length;
  }
  const [, ...pixels] = fragments; // the first item is the offset table
  const size = pixels.reduce((sum, fragment) => sum + fragment.length, 0);
  if (size === 0) throw new ReadError("truncated_pixel_data", "the compressed pixels are missing; copy the file again");
  const frame = new Uint8Array(size);
  pixels.reduce((at, fragment) => (frame.set(fragment, at), at + fragment.length), 0);
  // Some writers wrap the JPEG 2000 stream in a JP2 file, against the standard.
  const stream = startsWith(frame, JP2) ? find(frame, JPEG2000) : 0;
  return stream > 0 ? frame.slice(stream) : frame;
}

function checkStream(claim, frame, layout) {
  checkSize(claim.width, claim.height);
  checkDensity(claim.width * claim.height, frame.length);
  if (claim.process === JPEG_LS) checkJpegLsEnd(frame);
  if (claim.width !== layout.columns || claim.height !== layout.rows || claim.components !== layout.samples) {
    throw new ReadError(
      "inconsistent_header",
      `the header states ${layout.columns} x ${layout.rows} x ${layout.samples}, ` +
        `the compressed picture is ${claim.width} x ${claim.height} x ${claim.components}`,
    );
  }
}

async function decodeJpegFamily(frame, layout, atLeast) {
  const claim = jpegClaim(frame);
  checkStream(claim, frame, layout);
  if (claim.process === JPEG_LS) {
    return fromCodec((await decode("charls", "JpegLSDecoder", frame, "JPEG-LS pixels")).bytes, claim, layout);
  }
  if (LOSSLESS.includes(claim.process)) {
    checkJpegScans(frame, claim);
    if (!endsWithin(frame, [0xff, 0xd9])) throw truncated("JPEG");
    const decoded = await decodeLossless(frame, "JPEG pixels");
    return fromCodec(new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength), claim, layout, decoded.BYTES_PER_ELEMENT);
  }
  if (claim.precision !== 8) {
    const detail = `JPEG of ${claim.precision} bits, which is not read in a browser; export the film uncompressed`;
    throw new ReadError("unsupported_encoding", detail);
  }
  return { ...(await decodeJpeg(frame, atLeast)).grey, bits: 8, signed: layout.signed };
}

async function decodeJpeg2000(frame, layout) {
  const claim = jpeg2000Claim(frame);
  checkStream(claim, frame, layout);
  checkJpeg2000Complete(frame);
  return fromCodec((await decode("openjpeg", "J2KDecoder", frame, "JPEG 2000 pixels")).bytes, claim, layout);
}

function fromCodec(bytes, claim, layout, size = claim.precision > 8 ? 2 : 1) {
  if (claim.precision > 16) {
    throw new ReadError("unsupported_encoding", `${claim.precision} bits a pixel; films have at most 16`);
  }
  const { rows: height, columns: width } = layout;
  if (bytes.length !== height * width * size) throw damaged("compressed pixels");
  const values = size === 2 ? words(bytes, { allocated: 16 }, true) : bytes;
  // Only JPEG 2000 states a sign of its own; elsewhere the header's holds.
  const signed = claim.process === 0 ? claim.signed : layout.signed;
  return { values, height, width, bits: claim.precision, signed };
}

/** Planes one after the other become samples side by side. */
function interleaved(planes, size) {
  return planes.map((_, at) => planes[(at % 3) * size + Math.floor(at / 3)]);
}

/** Two neighbors that share their color (YBR_FULL_422) become two of their own. */
function shared(value, size) {
  return Uint8Array.from({ length: 3 * size }, (_, at) => {
    const pair = Math.floor(at / 6) * 4;
    return value[pair + (at % 3 === 0 ? (Math.floor(at / 3) % 2) : 1 + (at % 3))];
  });
}

/** PS3.3 C.7.6.3.1.2. */
function inRgb(samples, photometric) {
  if (!photometric.startsWith("YBR_FULL")) return samples;
  const clamped = (value) => Math.min(Math.max(Math.round(value), 0), 255);
  for (let at = 0; at < samples.length; at += 3) {
    const [y, blue, red] = [samples[at], samples[at + 1] - 128, samples[at + 2] - 128];
    samples[at] = clamped(y + 1.402 * red);
    samples[at + 1] = clamped(y - (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587);
    samples[at + 2] = clamped(y + 1.772 * blue);
  }
  return samples;
}

function refuseEncoding({ encoding }) {
  return new ReadError("unsupported_encoding", `pixels encoded as ${encoding}; export the film uncompressed`);
}
