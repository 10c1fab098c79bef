// Looking into the bytes of a file. Pure.

/** @returns {DataView} */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One character a byte. */
export function ascii(bytes, start = 0, end = bytes.length) {
  let text = "";
  for (const byte of bytes.subarray(start, end)) text += String.fromCharCode(byte);
  return text;
}

/** Where these bytes stand next, from a place on; -1 if nowhere. */
export function find(bytes, wanted, from = 0) {
  for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (startsWith(bytes, wanted, at)) return at;
  }
  return -1;
}

export function startsWith(bytes, wanted, from = 0) {
  for (let place = 0; place < wanted.length; place++) if (bytes[from + place] !== wanted[place]) return false;
  return true;
}

/** Whether these bytes stand among the last ones, where files have their end. */
export function endsWithin(bytes, wanted, last = 64) {
  return find(bytes.subarray(Math.max(bytes.length - last, 0)), wanted) >= 0;
}

/** To the nearest whole number, and of two equally near to the even one, as NumPy rounds. */
export function rint(value) {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}
