// The few header elements that decide how a DICOM film is decoded and shown: radiograph/dicom/header.py.
//
// A bounded walk that keeps where elements lie and looks into none but those that are asked for. Of the patient only
// the age is looked at.

import { MAX_MEGAPIXELS } from "../bounds.js";
import { ascii, viewOf } from "../bytes.js";
import { ReadError } from "../errors.js";

export const IMPLICIT_LITTLE = "1.2.840.10008.1.2";
export const EXPLICIT_LITTLE = "1.2.840.10008.1.2.1";
export const DEFLATED = "1.2.840.10008.1.2.1.99";
export const EXPLICIT_BIG = "1.2.840.10008.1.2.2";
export const RLE = "1.2.840.10008.1.2.5";
const ENCODINGS = {
  [IMPLICIT_LITTLE]: "Implicit VR Little Endian",
  [EXPLICIT_LITTLE]: "Explicit VR Little Endian",
  [DEFLATED]: "Deflated Explicit VR Little Endian",
  [EXPLICIT_BIG]: "Explicit VR Big Endian",
  [RLE]: "RLE Lossless",
  "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
  "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 and 4)",
  "1.2.840.10008.1.2.4.57": "JPEG Lossless, Non-Hierarchical (Process 14)",
  "1.2.840.10008.1.2.4.70": "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
  "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless Image Compression",
  "1.2.840.10008.1.2.4.81": "JPEG-LS Lossy (Near-Lossless) Image Compression",
  "1.2.840.10008.1.2.4.90": "JPEG 2000 Image Compression (Lossless Only)",
  "1.2.840.10008.1.2.4.91": "JPEG 2000 Image Compression",
};

export const TAGS = {
  age: 0x00101010, viewPosition: 0x00185101, viewCode: 0x00540220, codeValue: 0x00080100,
  patientOrientation: 0x00200020, samples: 0x00280002, photometric: 0x00280004, planar: 0x00280006, frames: 0x00280008,
  rows: 0x00280010, columns: 0x00280011, allocated: 0x00280100, stored: 0x00280101, highBit: 0x00280102,
  representation: 0x00280103, padding: 0x00280120, burnedIn: 0x00280301, spacing: 0x00280030,
  imagerSpacing: 0x00181164, center: 0x00281050, width: 0x00281051, windowFunction: 0x00281056,
  intercept: 0x00281052, slope: 0x00281053, modalityLut: 0x00283000, voiLut: 0x00283010,
  lutDescriptor: 0x00283002, lutData: 0x00283006,
};
export const FLOAT_PIXELS = 0x7fe00008;
export const PIXEL_DATA = 0x7fe00010;
const [ITEM, END_OF_ITEM, END_OF_SEQUENCE] = [0xfffee000, 0xfffee00d, 0xfffee0dd];
const LONG_VRS = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const [MAX_ELEMENTS, MAX_META_ELEMENTS, MAX_VALUE_BYTES, MAX_DEPTH] = [50000, 1000, 1024, 50];
const UNDEFINED = 0xffffffff;
const HEADER_BYTES = 16e6;

const cannotBeFollowed = () =>
  new ReadError("inconsistent_header", "the DICOM header cannot be followed; get the file again from its source");

/** Elements of a data set, or of one item of a sequence in it, by what they hold. */
export class Header {
  /** @param {{data: Uint8Array, implicit: boolean, little: boolean}} source */
  constructor(source, elements) {
    this.source = source;
    this.elements = elements;
  }

  /** Whether the element is there at all, with a value or without. */
  has(tag) {
    return this.elements.has(tag);
  }

  /** The bytes of the element; null where there are none. */
  raw(tag) {
    const element = this.elements.get(tag);
    if (!element || element.length === 0 || element.length === UNDEFINED) return null;
    return this.source.data.subarray(element.start, element.start + element.length);
  }

  /** 16-bit numbers; their VR says whether they are signed, where it is stated. */
  words(tag, signed = false) {
    const raw = (this.raw(tag) ?? new Uint8Array()).subarray(0, MAX_VALUE_BYTES);
    const stated = { SS: true, US: false }[this.elements.get(tag)?.vr] ?? signed;
    const view = viewOf(raw);
    const { little } = this.source;
    return Array.from({ length: raw.length >> 1 }, (_, place) =>
      stated ? view.getInt16(2 * place, little) : view.getUint16(2 * place, little));
  }

  /** The first 16-bit number, which is mostly the only one. */
  word(tag, signed = false) {
    return this.words(tag, signed)[0] ?? null;
  }

  /** The parts of a text; one empty part where there is none. */
  texts(tag) {
    const raw = (this.raw(tag) ?? new Uint8Array()).subarray(0, MAX_VALUE_BYTES);
    return ascii(raw).split("\\").map((part) => part.replace(/^[ \0]+|[ \0]+$/g, ""));
  }

  text(tag) {
    return this.texts(tag)[0];
  }

  /** Decimal strings; one that cannot be parsed is NaN. */
  decimals(tag) {
    if (!this.raw(tag)) return [];
    return this.texts(tag).map((text) => {
      const number = text.trim();
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(number) ? Number(number) : NaN;
    });
  }

  /** The first item of a sequence; null where there is none or it cannot be parsed. */
  firstItem(tag) {
    const element = this.elements.get(tag);
    const { data, implicit, little } = this.source;
    if (!element || ![null, "SQ", "UN"].includes(element.vr)) return null;
    const end = element.length === UNDEFINED ? data.length : Math.min(element.start + element.length, data.length);
    if (element.start + 8 > end || tagAt(viewOf(data), element.start, little) !== ITEM) return null;
    const length = viewOf(data).getUint32(element.start + 4, little);
    const start = element.start + 8;
    const within = element.vr === "UN" && element.length === UNDEFINED ? true : implicit;
    try {
      const walk = new Walk({ data, implicit: within, little });
      return new Header({ data, implicit: within, little }, walk.elements(start, length === UNDEFINED ? end : Math.min(start + length, end)).found);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      return null;
    }
  }
}

/**
 * Everything before the pixels, and where they begin.
 * @returns {Promise<{header: Header, transferSyntax: string | null, encoding: string, data: Uint8Array, position: number}>}
 */
export async function openDicom(file) {
  let { transferSyntax, position } = fileMeta(file);
  let data = file;
  if (transferSyntax === DEFLATED) {
    data = await inflatedFile(file.subarray(position));
    position = 0;
  }
  const source = { data, ...elementEncoding(transferSyntax, data, position) };
  const { found, end } = new Walk(source).elements(position, data.length, true);
  const encoding = transferSyntax === null ? "unstated transfer syntax" : ENCODINGS[transferSyntax] ?? "unknown transfer syntax";
  return { header: new Header(source, found), transferSyntax, encoding, data, position: end };
}

export function tagAt(view, position, little) {
  return view.getUint16(position, little) * 65536 + view.getUint16(position + 2, little);
}

/** A walk over elements, which counts them: a file made to keep us busy ends in an error, too. */
class Walk {
  #left = MAX_ELEMENTS;

  constructor(source) {
    this.source = source;
    this.view = viewOf(source.data);
  }

  /** Where the elements from `position` on lie, as far as the pixels at the top, and where the walk ended. */
  elements(position, limit, top = false, depth = 0) {
    const { little } = this.source;
    const found = new Map();
    const implicit = this.#implicitAt(position, limit);
    while (position + 8 <= limit) {
      if (--this.#left < 0) throw new ReadError("too_large", "the header has more elements than any film's");
      const tag = tagAt(this.view, position, little);
      if (tag === END_OF_ITEM || tag === END_OF_SEQUENCE) return { found, end: position + 8 };
      if (top && tag >= FLOAT_PIXELS) return { found, end: position };
      const element = this.#element(position, limit, implicit);
      if (!element) break;
      if (!found.has(tag)) found.set(tag, element);
      position = element.length === UNDEFINED ? this.#pastItems(element, limit, depth) : element.start + element.length;
      if (position > limit) {
        found.delete(tag); // cut short
        break;
      }
    }
    return { found, end: Math.min(position, limit) };
  }

  #element(position, limit, implicit) {
    const { data, little } = this.source;
    const vr = implicit ? null : ascii(data, position + 4, position + 6);
    if (implicit) return { vr, length: this.view.getUint32(position + 4, little), start: position + 8 };
    if (!LONG_VRS.has(vr)) return { vr, length: this.view.getUint16(position + 6, little), start: position + 8 };
    if (position + 12 > limit) return null;
    return { vr, length: this.view.getUint32(position + 8, little), start: position + 12 };
  }

  /** Whether the elements here lack a VR, whatever the file says of it. */
  #implicitAt(position, limit) {
    const { data, implicit } = this.source;
    if (position + 6 > limit) return implicit;
    const vr = ascii(data, position + 4, position + 6);
    return implicit ? !/^[A-Z]{2}$/.test(vr) : !/^[A-Z]{2}$/.test(vr) && data[position + 4] < 0x40;
  }

  /** The place behind the items of an element of open length. */
  #pastItems(element, limit, depth) {
    if (depth > MAX_DEPTH) throw cannotBeFollowed();
    const { little, implicit } = this.source;
    let position = element.start;
    while (position + 8 <= limit) {
      if (--this.#left < 0) throw new ReadError("too_large", "the header has more elements than any film's");
      const [tag, length] = [tagAt(this.view, position, little), this.view.getUint32(position + 4, little)];
      position += 8;
      if (tag === END_OF_SEQUENCE) return position;
      if (tag !== ITEM) throw cannotBeFollowed();
      if (length !== UNDEFINED) position += length;
      else {
        const inner = element.vr === "UN" && !implicit ? new Walk({ ...this.source, implicit: true }) : this;
        inner.#left = this.#left;
        position = inner.elements(position, limit, false, depth + 1).end;
        this.#left = inner.#left;
      }
    }
    return limit;
  }
}

/** The transfer syntax that the file meta group states, and where the first element after the group is. */
function fileMeta(data) {
  const view = viewOf(data);
  let position = ascii(data, 128, 132) === "DICM" ? 132 : 0;
  let transferSyntax = null;
  for (let number = 0; number < MAX_META_ELEMENTS && position + 8 <= data.length; number++) {
    if (data[position] !== 2 || data[position + 1] !== 0) break;
    const vr = ascii(data, position + 4, position + 6);
    let [start, length] = [position + 8, 0];
    if (["OB", "OW", "UN", "UT", "SQ"].includes(vr)) {
      if (position + 12 > data.length) break;
      [start, length] = [position + 12, view.getUint32(position + 8, true)];
    } else if (/^[A-Za-z]{2}$/.test(vr)) length = view.getUint16(position + 6, true);
    else length = view.getUint32(position + 4, true); // against the standard, some writers encode the group as implicit VR
    if (data[position + 2] === 0x10 && data[position + 3] === 0 && length <= 64) {
      transferSyntax = ascii(data, start, start + length).replace(/^[ \0]+|[ \0]+$/g, "") || null;
    }
    position = start + length;
  }
  return { transferSyntax, position: Math.min(position, data.length) };
}

/** Whether elements lack a VR, and whether bytes run little end first. Guessed where it is not stated. */
function elementEncoding(transferSyntax, data, position) {
  if (transferSyntax === EXPLICIT_BIG) return { implicit: false, little: false };
  if (transferSyntax !== null) return { implicit: transferSyntax === IMPLICIT_LITTLE, little: true };
  const explicit = /^[A-Z]{2}$/.test(ascii(data, position + 4, position + 6));
  return { implicit: !explicit, little: !(data[position] === 0 && data[position + 1] !== 0) };
}

/** What a deflated file inflates to. A byte of padding behind its end, which DICOM allows, is an error to browsers. */
async function inflatedFile(compressed) {
  try {
    return await inflatedWhole(compressed);
  } catch (error) {
    if (error instanceof ReadError) throw error;
  }
  try {
    return await inflatedWhole(compressed.subarray(0, -1));
  } catch (error) {
    if (error instanceof ReadError) throw error;
    throw new ReadError("damaged", "the deflated file cannot be inflated; copy the file again");
  }
}

/** Up to its bound; nothing says before how much it is. */
async function inflatedWhole(compressed) {
  const most = MAX_MEGAPIXELS * 3e6 + HEADER_BYTES;
  const pieces = [];
  let size = 0;
  const reader = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      reader.cancel().catch(() => {});
      throw new ReadError("too_large", `the deflated file inflates to over ${Math.round(most / 1e6)} MB`);
    }
    pieces.push(value);
  }
  const whole = new Uint8Array(size);
  pieces.reduce((at, piece) => (whole.set(piece, at), at + piece.length), 0);
  return whole;
}
