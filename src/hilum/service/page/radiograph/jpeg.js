// JPEG, decoded by libjpeg-turbo as Python's is; where a film may be smaller, by jpeg-small.js. radiograph/raster.py.

import { checkDensity, checkJpegScans, checkSize, jpegClaim } from "./bounds.js";
import { ascii, find, startsWith, viewOf } from "./bytes.js";
import { decode } from "./codecs.js";
import { damaged, ReadError, truncated } from "./errors.js";
import { colorfulness, colorWarning, evenTable, filmOf, greyOfColor, turnWarning } from "./film.js";
import { decodedSmall } from "./jpeg-small.js";
import { turnFromExif, turnFromXmp } from "./orientation.js";

const XMP = "http://ns.adobe.com/xap/1.0/\0";

/** The film in a JPEG file. */
export async function readJpeg(data, atLeast) {
  const claim = jpegClaim(data);
  checkSize(claim.width, claim.height);
  const { grey, share } = await decodeJpeg(data, atLeast);
  const turn = turnOf(data);
  return filmOf(grey, {
    table: evenTable(256, 255), format: "jpeg", bits: claim.precision, turn, colorfulness: share,
    fullHeight: claim.height, fullWidth: claim.width,
    warnings: [...turnWarning(turn), ...colorWarning(share)],
  });
}

/** Grey levels of an 8-bit JPEG whose size was checked, and how far it is from grey. */
export async function decodeJpeg(data, atLeast) {
  const claim = jpegClaim(data);
  if (claim.precision !== 8) {
    const detail = `a JPEG file of ${claim.precision} bits a sample; convert it to a 16-bit PNG or put it in a DICOM file`;
    throw new ReadError("unsupported_encoding", detail);
  }
  checkJpegScans(data, claim);
  checkDensity(claim.width * claim.height, data.length);
  if (!hasEnd(data)) throw truncated("JPEG");
  const block = blockOf(claim, atLeast);
  const small = block > 1 ? decodedSmall(data, block) : null;
  if (small && claim.components === 1) return { grey: small, share: 0 };
  const picture = await decode("libjpeg-turbo", "JPEGDecoder", data, "JPEG");
  const { bytes, width, height, components } = picture;
  if (width !== claim.width || height !== claim.height || bytes.length !== width * height * components) throw damaged("JPEG");
  const color = components >= 3;
  const values = color ? greyOfColor(bytes, components) : bytes;
  const share = color ? colorfulness(bytes, components, height, width) : 0;
  return { grey: small ?? reduced({ values, height, width }, block), share };
}

/** How many pixels of the file along each side become one, as long as no side falls below `atLeast`. */
function blockOf({ width, height }, atLeast) {
  const most = Math.floor(Math.min(width, height) / atLeast);
  return [8, 4, 2].find((size) => most >= size) ?? 1;
}

/** Whether an end stands behind the picture's first scan. */
function hasEnd(data) {
  const scan = find(data, [0xff, 0xda]);
  return scan >= 0 && find(data, [0xff, 0xd9], scan) >= 0;
}

/** The means of blocks, where the small decoder cannot say. */
function reduced({ values, height, width }, block) {
  if (block === 1) return { values, height, width };
  const [rows, columns] = [Math.ceil(height / block), Math.ceil(width / block)];
  const small = new Uint8Array(rows * columns);
  for (let row = 0, place = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, place++) {
      let sum = 0;
      for (let y = row * block; y < (row + 1) * block; y++) {
        const line = Math.min(y, height - 1) * width; // encoders fill what is beyond the edge with what stands at it
        for (let x = column * block; x < (column + 1) * block; x++) sum += values[line + Math.min(x, width - 1)];
      }
      small[place] = Math.round(sum / block ** 2);
    }
  }
  return { values: small, height: rows, width: columns };
}

/** The orientation that a segment of EXIF or XMP in front of the picture states. */
function turnOf(data) {
  const view = viewOf(data);
  let [turn, position] = [1, 2];
  while (position + 4 <= data.length && data[position] === 0xff && data[position + 1] !== 0xda) {
    const length = view.getUint16(position + 2);
    const body = data.subarray(position + 4, position + 2 + length);
    if (data[position + 1] === 0xe1) {
      if (startsWith(body, [0x45, 0x78, 0x69, 0x66, 0, 0])) turn = turnFromExif(body.subarray(6));
      else if (turn === 1 && ascii(body, 0, XMP.length) === XMP) turn = turnFromXmp(body);
    }
    position += 2 + length;
  }
  return turn;
}
