// A DICOM file becomes a film: header checked, pixels decoded, shown as DICOM's grayscale pipeline says.
// radiograph/dicom/film.py.

import { checkSize } from "../bounds.js";
import { viewOf } from "../bytes.js";
import { ReadError } from "../errors.js";
import { colorWarning, filmOf } from "../film.js";
import { turnFromPatientOrientation } from "../orientation.js";
import { LookupTable, render, Window } from "./grayscale.js";
import { FLOAT_PIXELS, openDicom, PIXEL_DATA, tagAt, TAGS } from "./header.js";
import { readColor, readStored } from "./pixels.js";

const GREY = ["MONOCHROME1", "MONOCHROME2"];
const COLOR = ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR"];
const VIEWS = ["AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL"];
const LATERAL = ["LL", "RL", "LATERAL"];
const LATERAL_CODES = ["399173006", "399198007", "399067008", "R-10236", "R-10232"];
const YEARS = { Y: 1, M: 12, W: 365.25 / 7, D: 365.25 };
const [ADULT, OLDEST] = [18, 125];

/** The film in a DICOM file. */
export async function readDicom(data, atLeast) {
  const opened = await openDicom(data);
  const { header } = opened;
  const warnings = [];
  const warn = (code, detail) => warnings.push({ code, detail });
  const layout = checkLayout(opened, warn);
  const picture = GREY.includes(layout.photometric)
    ? await greyPicture(opened, layout, atLeast, warn)
    : await colorPicture(opened, layout, warnings);
  const turn = turnOf(header, warn);
  if (header.text(TAGS.burnedIn).toUpperCase() === "YES") {
    warn("burned_in_annotation", "the header says that text is burned into the pixels");
  }
  const spacing = spacingOf(header, warn);
  return filmOf(picture, {
    table: picture.table, bits: picture.bits, colorfulness: picture.colorfulness, format: "dicom", turn, warnings,
    fullHeight: layout.rows, fullWidth: layout.columns,
    spacing: spacing && turn >= 5 ? [spacing[1], spacing[0]] : spacing,
    lateral: isLateral(header), patient: patientOf(header),
  });
}

/** The pixel description, or the reason why there is no single film to be shown. */
function checkLayout({ header, data, position, transferSyntax }, warn) {
  const [rows, columns] = [header.word(TAGS.rows), header.word(TAGS.columns)];
  const tag = position + 4 <= data.length ? tagAt(viewOf(data), position, header.source.little) : null;
  if (tag !== PIXEL_DATA) {
    if (tag === FLOAT_PIXELS || tag === FLOAT_PIXELS + 1) {
      throw new ReadError("unsupported_encoding", "floating-point pixels; films are stored as integers");
    }
    if (rows && columns) throw new ReadError("truncated_pixel_data", "the file ends before its pixels; copy the file again");
    throw new ReadError("not_an_image", "a DICOM object without a picture; give the film itself");
  }
  if (!rows || !columns) throw new ReadError("inconsistent_header", "the header does not state Rows and Columns");
  checkSize(columns, rows);
  const [frames] = header.decimals(TAGS.frames);
  if (frames > 1) throw new ReadError("multi_frame", `${Math.round(frames)} frames; export the film that is meant`);
  const photometric = header.text(TAGS.photometric).toUpperCase();
  if (!photometric) {
    const detail = "no PhotometricInterpretation: bright may or may not mean dense; repair the header";
    throw new ReadError("inconsistent_header", detail);
  }
  if (![...GREY, ...COLOR].includes(photometric)) {
    throw new ReadError("unsupported_encoding", "an unknown PhotometricInterpretation; export the film as PNG");
  }
  const expected = COLOR.slice(0, -1).includes(photometric) ? 3 : 1; // palette color has one sample, an index
  const samples = header.word(TAGS.samples) ?? expected;
  if (samples !== expected) throw new ReadError("inconsistent_header", `${photometric} with SamplesPerPixel ${samples}`);
  const { allocated, stored } = checkBits(header, warn);
  if (transferSyntax === null) warn("transfer_syntax_missing", "no transfer syntax stated; recognized by the content");
  const signed = header.word(TAGS.representation) === 1;
  return { rows, columns, samples, allocated, stored, signed, photometric };
}

function checkBits(header, warn) {
  const allocated = header.word(TAGS.allocated);
  if (allocated === null) throw new ReadError("inconsistent_header", "no BitsAllocated; films have 8 or 16");
  if (allocated !== 8 && allocated !== 16) {
    throw new ReadError("unsupported_encoding", `BitsAllocated ${allocated}; films have 8 or 16`);
  }
  const highBit = header.word(TAGS.highBit);
  let stored = header.word(TAGS.stored);
  if (stored === null) {
    stored = highBit !== null ? highBit + 1 : allocated;
    warn("bits_stored_missing", `no BitsStored; taken as ${stored}`);
  }
  if (!(stored >= 1 && stored <= allocated) || (highBit !== null && highBit !== stored - 1)) {
    const detail = `BitsAllocated ${allocated}, BitsStored ${stored} and HighBit ${highBit ?? "None"} contradict each other`;
    throw new ReadError("inconsistent_header", detail);
  }
  return { allocated, stored };
}

async function greyPicture(opened, layout, atLeast, warn) {
  const { header } = opened;
  const stored = await readStored(opened, layout, atLeast);
  const pipeline = {
    bits: stored.bits, signed: stored.signed, inverted: layout.photometric === "MONOCHROME1",
    ...rescale(header, warn),
    modality: lookupTable(header, TAGS.modalityLut, stored.signed, warn),
    voi: lookupTable(header, TAGS.voiLut, stored.signed, warn) ?? windowOf(header, warn),
    padding: header.word(TAGS.padding, stored.signed),
  };
  const { table, followed } = render(pipeline, stored.values);
  if (pipeline.voi && !followed) warn("window_ignored", "the window shows one grey level; contrast was stretched");
  return { ...stored, table, colorfulness: 0 };
}

async function colorPicture(opened, layout, warnings) {
  const { rows: height, columns: width } = layout;
  if (layout.photometric === "PALETTE COLOR") {
    throw new ReadError("unsupported_encoding", "palette colors, which no film has; export it as PNG");
  }
  const color = await readColor(opened, layout);
  // Values of its own: the sum of three weighted bytes is no whole number, and 16 bits hold it well enough.
  const values = Uint16Array.from({ length: height * width }, (_, place) => {
    const [red, green, blue] = [color[3 * place], color[3 * place + 1], color[3 * place + 2]];
    return Math.round(Math.min((0.299 * red + 0.587 * green + 0.114 * blue) / 255, 1) * 65535);
  });
  const [down, across] = [Math.max(Math.floor(height / 64), 1), Math.max(Math.floor(width / 64), 1)];
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y += down) {
    for (let x = 0; x < width; x += across, count++) {
      const pixel = color.subarray(3 * (y * width + x), 3 * (y * width + x) + 3);
      sum += Math.max(...pixel) - Math.min(...pixel);
    }
  }
  const colorfulness = Math.min(sum / count / 255, 1);
  warnings.push(...colorWarning(colorfulness));
  return { values, height, width, bits: layout.stored, colorfulness, table: Float32Array.from({ length: 65536 }, (_, value) => value / 65535) };
}

function rescale(header, warn) {
  const plain = { slope: 1, intercept: 0 };
  if (!header.has(TAGS.slope) && !header.has(TAGS.intercept)) return plain;
  const slope = header.raw(TAGS.slope) ? header.decimals(TAGS.slope)[0] : 1;
  const intercept = header.raw(TAGS.intercept) ? header.decimals(TAGS.intercept)[0] : 0;
  const usable = Number.isFinite(slope) && Number.isFinite(intercept) && slope !== 0 && Math.abs(slope) < 1e30 && Math.abs(intercept) < 1e30;
  if (usable) return { slope, intercept };
  warn("rescale_ignored", "the rescale slope or intercept is no usable number");
  return plain;
}

function lookupTable(header, tag, signed, warn) {
  const item = header.has(tag) ? header.firstItem(tag) : null;
  if (!item) return null;
  const [descriptor, data] = [item.words(TAGS.lutDescriptor, signed), item.raw(TAGS.lutData)];
  if (data && descriptor.length === 3) {
    const [first, bits] = [descriptor[1], descriptor[2]];
    const count = descriptor[0] & 0xffff || 65536; // which does not fit into 16 bits
    const view = viewOf(data);
    let entries = Uint16Array.from({ length: data.length >> 1 }, (_, place) => view.getUint16(2 * place, item.source.little));
    if (bits === 8 && entries.length < count && count <= data.length) entries = Uint16Array.from(data); // two a word
    if (entries.length >= count && bits >= 1 && bits <= 16) return new LookupTable(first, bits, entries.subarray(0, count));
  }
  warn("lut_ignored", "a lookup table in the header is damaged and was not used");
  return null;
}

function windowOf(header, warn) {
  const [centers, widths] = [header.decimals(TAGS.center), header.decimals(TAGS.width)];
  if (!centers.length && !widths.length) return null;
  let name = header.text(TAGS.windowFunction).toUpperCase() || "LINEAR";
  if (!["LINEAR", "LINEAR_EXACT", "SIGMOID"].includes(name)) {
    warn("window_function_unknown", "an unknown window function; taken as LINEAR");
    name = "LINEAR";
  }
  if (centers.length && widths.length) {
    const window = new Window(centers[0], widths[0], name);
    if (window.isValid) return window;
  }
  warn("window_ignored", "the window is no usable number; contrast was stretched");
  return null;
}

function turnOf(header, warn) {
  const directions = header.texts(TAGS.patientOrientation);
  if (directions.length !== 2 || directions.some((direction) => !direction)) return 1;
  const turn = turnFromPatientOrientation(directions[0][0].toUpperCase(), directions[1][0].toUpperCase());
  if (turn !== 1) warn("turned", "turned upright as its PatientOrientation says");
  return turn;
}

function spacingOf(header, warn) {
  for (const tag of [TAGS.spacing, TAGS.imagerSpacing]) {
    const spacing = header.decimals(tag);
    if (spacing.length !== 2) continue;
    if (spacing.every((step) => Number.isFinite(step) && step > 0)) return spacing;
    warn("pixel_spacing_ignored", "the pixel spacing is not positive; ignored");
  }
  return null;
}

function isLateral(header) {
  const view = header.text(TAGS.viewPosition).toUpperCase();
  if (VIEWS.includes(view)) return LATERAL.includes(view);
  return LATERAL_CODES.includes(header.firstItem(TAGS.viewCode)?.text(TAGS.codeValue));
}

/** Child or adult, by an age string as DICOM has it (PS3.5): 045Y, 006M, 012W or 003D, and nothing else. */
function patientOf(header) {
  const match = /^(\d{3})([YMWD])$/.exec(header.text(TAGS.age));
  const age = match ? Number(match[1]) / YEARS[match[2]] : NaN;
  if (!(age <= OLDEST)) return null;
  return age >= ADULT ? "adult" : "child";
}
