// The parts of a multipart/mixed answer (RFC 2046), as bytes. Pure.

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {Map<string, {type: string, content: Uint8Array<ArrayBuffer>}>} by their names */
export function parts(bytes, contentType) {
  const boundary = ascii(`--${/boundary="?([^";]+)/.exec(contentType)[1]}`);
  const found = new Map();
  for (let start = find(bytes, boundary, 0) + boundary.length; bytes[start] === 13; ) {
    const end = find(bytes, boundary, start);
    const body = find(bytes, ascii("\r\n\r\n"), start) + 4;
    const head = new TextDecoder().decode(bytes.subarray(start, body));
    const name = /name="([^"]*)"/.exec(head)[1];
    found.set(name, { type: /Content-Type: (\S+)/i.exec(head)[1], content: bytes.subarray(body, end - 2) });
    start = end + boundary.length;
  }
  return found;
}

function ascii(text) {
  return new TextEncoder().encode(text);
}

function find(bytes, wanted, from) {
  for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, place) => bytes[at + place] === byte)) return at;
  }
  return bytes.length;
}
