// Turning a stored picture upright, named by EXIF's eight codes whatever the file format: radiograph/orientation.py.

import { ascii, find, viewOf } from "./bytes.js";

const ORIENTATION = 0x0112;
const MAX_ENTRIES = 1000;

/** The values of a picture, upright. */
export function upright(values, height, width, turn) {
  if (turn === 1) return { values, height, width };
  const swapped = turn >= 5;
  const [rows, columns] = swapped ? [width, height] : [height, width];
  const mirrored = [2, 3, 6, 7].includes(turn);
  const flipped = [3, 4, 7, 8].includes(turn);
  const turned = new values.constructor(values.length);
  for (let y = 0, place = 0; y < rows; y++) {
    const row = flipped ? rows - 1 - y : y;
    for (let x = 0; x < columns; x++, place++) {
      const column = mirrored ? columns - 1 - x : x;
      turned[place] = swapped ? values[column * width + row] : values[row * width + column];
    }
  }
  return { values: turned, height: rows, width: columns };
}

/** The EXIF code for a film whose rows and columns run to these body directions (DICOM's PatientOrientation). */
export function turnFromPatientOrientation(rowsTo, columnsTo) {
  if (columnsTo === "F") return rowsTo === "R" ? 2 : 1;
  if (columnsTo === "H") return rowsTo === "L" ? 4 : 3;
  if (rowsTo === "F") return columnsTo === "L" ? 5 : 6;
  if (rowsTo === "H") return columnsTo === "R" ? 7 : 8;
  return 1;
}

/** The orientation in a block of EXIF (a TIFF file); 1 where it states none or cannot be parsed. */
export function turnFromExif(exif) {
  const little = ascii(exif, 0, 2) === "II";
  if (exif.length < 8 || (!little && ascii(exif, 0, 2) !== "MM")) return 1;
  const view = viewOf(exif);
  const start = view.getUint32(4, little);
  if (start + 2 > exif.length) return 1;
  const entries = Math.min(view.getUint16(start, little), MAX_ENTRIES);
  for (let at = start + 2; at < start + 2 + 12 * entries && at + 12 <= exif.length; at += 12) {
    if (view.getUint16(at, little) !== ORIENTATION) continue;
    const turn = view.getUint16(at + 2, little) === 3 ? view.getUint16(at + 8, little) : 1;
    return turn >= 1 && turn <= 8 ? turn : 1;
  }
  return 1;
}

/** The orientation in a block of XMP, which programs write instead of EXIF or beside it. */
export function turnFromXmp(xmp) {
  const at = find(xmp, new TextEncoder().encode("tiff:Orientation"));
  const match = at < 0 ? null : /^tiff:Orientation(?:="|>)([1-8])/.exec(ascii(xmp, at, at + 20));
  return match ? Number(match[1]) : 1;
}
