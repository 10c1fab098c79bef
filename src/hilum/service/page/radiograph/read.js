// The one way in: whatever holds a film, told apart by its content, becomes a film or a ReadError. radiograph/read.py.

import { MAX_FILE_BYTES } from "./bounds.js";
import { ascii, startsWith } from "./bytes.js";
import { readDicom } from "./dicom/film.js";
import { ReadError } from "./errors.js";
import { readJpeg } from "./jpeg.js";
import { readPng } from "./png.js";

// What people mistake for films, so that the error can name it.
const FOREIGN = {
  "GIF8": "a GIF picture; convert it to PNG",
  "BM": "a BMP picture; convert it to PNG",
  "II*\0": "a TIFF picture; convert it to PNG",
  "MM\0*": "a TIFF picture; convert it to PNG",
  "RIFF": "a WebP picture or other RIFF file; convert it to PNG",
  "\0\0\0\x0cjP  ": "a bare JPEG 2000 file; convert it to PNG",
  "\xff\x4f\xff\x51": "a bare JPEG 2000 file; convert it to PNG",
  "%PDF": "a PDF document; export its pictures as PNG",
  "PK\x03\x04": "a zip archive; unpack it first",
  "\x1f\x8b": "a gzip archive; unpack it first",
  "\x89HDF": "an HDF5 file",
  "\\\x01\0\0": "a NIfTI volume; hilum reads single films",
};

/**
 * The film in the bytes of a file, smaller where `atLeast` allows it: no side falls below it.
 * @param {Uint8Array} data @returns {Promise<import("./film.js").Film>}
 */
export async function read(data, atLeast) {
  if (data.length === 0) throw new ReadError("empty", "the file is empty; copy it again from its source");
  if (data.length > MAX_FILE_BYTES) {
    throw new ReadError("too_large", `a file of ${Math.round(data.length / 1e6)} MB; the limit is ${MAX_FILE_BYTES >> 20} MB`);
  }
  if (startsWith(data, [0xff, 0xd8, 0xff])) return readJpeg(data, atLeast);
  if (startsWith(data, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return readPng(data);
  if (ascii(data, 128, 132) === "DICM" || startsWithDicomElement(data)) return readDicom(data, atLeast);
  throw unrecognized(data.subarray(0, 132));
}

/** Old files lack DICOM's preamble and start with an element of group 0002 or 0008. */
function startsWithDicomElement(data) {
  if (data.length < 8) return false;
  const explicit = /^[A-Z]{2}$/.test(ascii(data, 4, 6));
  if (data[0] === 0 && data[1] === 8 && data[2] === 0) return explicit; // big endian
  if ((data[0] !== 2 && data[0] !== 8) || data[1] !== 0 || data[3] !== 0) return false;
  return explicit || (data[7] === 0 && data[6] === 0 && (data[5] << 8) + data[4] <= 1024);
}

function unrecognized(head) {
  const text = ascii(head);
  for (const [magic, what] of Object.entries(FOREIGN)) {
    if (text.startsWith(magic)) return new ReadError(what.includes("PNG") ? "unsupported_encoding" : "not_an_image", what);
  }
  if (!text.includes("\0") && (text.includes("\n") || head.every((byte) => byte < 128))) {
    return new ReadError("not_an_image", "a text file; give a JPEG, PNG or DICOM file");
  }
  return new ReadError("not_an_image", "neither JPEG, PNG nor DICOM by its content; give one of these");
}
