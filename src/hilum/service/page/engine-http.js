// The engine that asks a server. Another one, which judges in the browser itself, has the same three calls:
// model(name), pixels(file, longest, onSent), predict(file, asked, onSent); who has the file at hand never calls onSent.
// What cannot be done throws a Refused.

import { parts } from "./multipart.js";
import { send } from "./sending.js";

export const LONGEST = 2048;

/** Why there is no answer: `reason` for the page, `detail` in English for people, `wait` in seconds where it may help. */
export class Refused extends Error {
  constructor(reason, detail = "", wait = null) {
    super(reason);
    this.reason = reason;
    this.detail = detail;
    this.wait = wait;
  }
}

export class HttpEngine {
  #token = null;

  /** @param {(again: boolean) => Promise<string>} askToken */
  constructor(askToken) {
    this.askToken = askToken;
  }

  /** The card of a model, or of the first one, with the names of all. */
  async model(name) {
    const answer = await this.ask(`v1/model${query({ model: name })}`);
    return answer.json();
  }

  /** The file of a model, for the engine that judges here. @returns {Promise<ArrayBuffer>} */
  async bundle(name) {
    return (await this.ask(`v1/bundle${query({ model: name })}`)).arrayBuffer();
  }

  /**
   * The film's grey values, at most `longest` on a side.
   * @param {Blob} file
   * @param {number} longest
   * @param {(share: number) => void} [onSent]
   * @returns {Promise<{grey: Uint16Array, width: number, height: number, fullWidth: number, fullHeight: number,
   *   bits: number, spacing: number[] | null}>}
   */
  async pixels(file, longest, onSent) {
    return pixelsOf(await this.#post(`v1/pixels${query({ longest })}`, file, onSent));
  }

  /**
   * What a model says of a film: as `hilum predict --json` prints it, with pictures where they are asked for.
   * `lungs` are levels, 255 inside them.
   * @param {Blob} file
   * @param {object} asked
   * @param {(share: number) => void} [onSent]
   * @returns {Promise<{answer: any, heatmap: Blob | null, overlay: Blob | null,
   *   lungs: import("./outline.js").Levels | null}>}
   */
  async predict(file, asked, onSent) {
    return predictionOf(await this.#post(`v1/predictions${query(asked)}`, file, onSent));
  }

  #post(path, file, onSent) {
    const type = ["image/jpeg", "image/png"].includes(file.type) ? file.type : "application/dicom";
    return this.ask(path, (headers) => send(path, file, { ...headers, "Content-Type": type }, onSent));
  }

  /** What the server answers, once it has been shown its token. @param {string} path */
  async ask(path, request = (headers) => fetch(path, { headers })) {
    const shown = this.#token;
    let answer;
    try {
      answer = await request(shown ? { Authorization: `Bearer ${shown}` } : {});
    } catch {
      throw new Refused("offline", "", 3);
    }
    if (answer.status === 401) {
      if (shown === this.#token) this.#token = await this.askToken(shown !== null);
      return this.ask(path, request);
    }
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    const wait = [429, 503].includes(answer.status) ? Number(answer.headers.get("Retry-After") ?? 2) : null;
    throw new Refused(problem.reason ?? "other", problem.detail ?? "", wait);
  }
}

/** Grey values as the server gives them, with what its headers say of the film. @param {Response} answer */
export async function pixelsOf(answer) {
  const number = (name) => Number(answer.headers.get(`Film-${name}`));
  return {
    grey: littleEndian(await answer.arrayBuffer()),
    width: number("Width"),
    height: number("Height"),
    fullWidth: number("Full-Width"),
    fullHeight: number("Full-Height"),
    bits: number("Bits"),
    spacing: answer.headers.get("Film-Pixel-Spacing")?.split(" ").map(Number) ?? null,
  };
}

/** A prediction with its pictures, where it has some. @param {Response} reply */
export async function predictionOf(reply) {
  const type = reply.headers.get("Content-Type");
  if (!type.startsWith("multipart/")) return { answer: await reply.json(), heatmap: null, overlay: null, lungs: null };
  const found = parts(new Uint8Array(await reply.arrayBuffer()), type);
  const picture = (name) => found.has(name) ? new Blob([found.get(name).content], { type: "image/png" }) : null;
  const answer = JSON.parse(new TextDecoder().decode(found.get("prediction-0").content));
  const lungs = picture("lungs-0");
  return {
    answer, heatmap: picture("heatmap-0"), overlay: picture("overlay-0"), lungs: lungs && (await levelsOf(lungs)),
  };
}

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** The levels of a grey picture. */
async function levelsOf(picture) {
  const bitmap = await createImageBitmap(picture);
  const { width, height } = bitmap;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
  return { grey: new Uint8Array(pixels.map((pixel) => pixel & 255)), width, height };
}

function littleEndian(buffer) {
  if (new Uint8Array(new Uint16Array([1]).buffer)[0]) return new Uint16Array(buffer);
  const view = new DataView(buffer);
  return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, place) => view.getUint16(2 * place, true));
}
