// Decoders in WebAssembly, each fetched when a film first needs it. They lie in lib/ beside the page's own code.

import { damaged, ReadError } from "./errors.js";

const LIBRARY = new URL("../lib/", import.meta.url).href;
const opened = new Map();

/** A decoder's module, ready. */
async function codec(name) {
  if (!opened.has(name)) opened.set(name, open(name));
  try {
    return await opened.get(name);
  } catch (error) {
    opened.delete(name);
    throw error;
  }
}

async function open(name) {
  let library;
  let wasmBinary;
  try {
    library = await import(`${LIBRARY}${name}.mjs`);
    if (name === "jpeg-lossless") return library;
    wasmBinary = await bytesOf(`${LIBRARY}${name}.wasm`);
  } catch {
    throw new ReadError("unsupported_encoding", "the decoder for this encoding could not be fetched; load the page again");
  }
  const silent = () => {};
  return library.default({ wasmBinary, print: silent, printErr: silent });
}

async function bytesOf(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/**
 * What a decoder makes of a stream whose claimed size was checked.
 * @returns {Promise<{bytes: Uint8Array, width: number, height: number, components: number, bits: number, signed: boolean}>}
 */
export async function decode(name, decoderName, stream, kind) {
  const library = await codec(name);
  let decoder;
  try {
    decoder = new library[decoderName]();
    decoder.getEncodedBuffer(stream.length).set(stream);
    decoder.decode();
    const frame = decoder.getFrameInfo();
    const bytes = Uint8Array.from(decoder.getDecodedBuffer());
    return {
      bytes, width: frame.width, height: frame.height, components: frame.componentCount, bits: frame.bitsPerSample,
      signed: Boolean(frame.isSigned),
    };
  } catch {
    opened.delete(name); // an error may leave a module's memory in disorder
    throw damaged(kind);
  } finally {
    try {
      decoder?.delete();
    } catch {
      opened.delete(name);
    }
  }
}

/** JPEG lossless, whose decoder is plain JavaScript. @returns {Promise<Uint8Array | Uint16Array>} */
export async function decodeLossless(stream, kind) {
  const { Decoder } = await codec("jpeg-lossless");
  try {
    const decoder = new Decoder();
    const decoded = decoder.decode(stream.buffer, stream.byteOffset, stream.byteLength);
    return decoder.numBytes === 2 ? new Uint16Array(decoded.buffer) : new Uint8Array(decoded.buffer);
  } catch {
    throw damaged(kind);
  }
}
