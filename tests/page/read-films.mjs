// Reads films with the page's own reader, under Node: a path a line on standard input, a line of JSON each on the output.
//
// node read-films.mjs GEOMETRY; beside this file lie the page's modules, and in lib/ the decoders.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// What decoders made for browsers look for under Node.
Object.assign(globalThis, { require: createRequire(import.meta.url), __dirname: ".", __filename: "read-films" });
const plain = globalThis.fetch;
globalThis.fetch = async (url) => (String(url).startsWith("file:") ? new Response(readFileSync(new URL(url))) : plain(url));

const { applied, atLeast } = await import("./bundle/place.js");
const { ReadError } = await import("./radiograph/errors.js");
const { in256, spread } = await import("./radiograph/film.js");
const { read } = await import("./radiograph/read.js");

const geometry = JSON.parse(process.argv[2]);
for await (const path of createInterface({ input: process.stdin })) {
  const began = performance.now();
  let found;
  try {
    const film = await read(new Uint8Array(readFileSync(path)), atLeast(geometry));
    const levels = applied(geometry, { values: in256(film), height: film.height, width: film.width });
    const { values, table, ...known } = film;
    found = { ...known, spread: spread(film), levels: Buffer.from(levels).toString("base64") };
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    found = { reason: error.reason, detail: error.detail };
  }
  console.log(JSON.stringify({ ...found, ms: Math.round(performance.now() - began) }));
}
