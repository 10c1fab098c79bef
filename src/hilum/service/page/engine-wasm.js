// The engine that judges films in the browser itself: nothing of a film leaves it. It has the calls of engine-http.js.

import { Refused } from "./engine-http.js";

const SECONDS = 120; // that a film may take, in milliseconds of the clock; a damaged one may keep a decoder for ever
const WORKER = new URL("wasm-worker.js", import.meta.url).href;

/**
 * Where a site has its models: as files beside the page.
 * @typedef {{model: (name: string | null) => Promise<any>, bundle: (name: string) => Promise<ArrayBuffer>}} Source
 */
export class SiteFiles {
  constructor(models) {
    this.models = models;
  }

  async model(name) {
    const answer = await this.#file(`models/${name ?? this.models[0]}.json`);
    return { model: name ?? this.models[0], models: this.models, ...(await answer.json()) };
  }

  async bundle(name) {
    return (await this.#file(`models/${name}.onnx`)).arrayBuffer();
  }

  async #file(path) {
    const answer = await fetch(path).catch(() => null);
    if (!answer?.ok) throw new Refused("site_incomplete", "");
    return answer;
  }
}

export class WasmEngine {
  #worker = null;
  #opened = null;
  #waiting = new Map();
  /** @type {Promise<any>} */
  #last = Promise.resolve();
  #number = 0;

  /** @param {Source} source @param {string} hilum its version @param {number} threads */
  constructor(source, hilum, threads = threadsHere()) {
    this.source = source;
    this.hilum = hilum;
    this.threads = threads;
  }

  /** The card of a model, or of the first one, with the names of all. */
  async model(name) {
    const card = await this.source.model(name);
    if (card.model !== this.#opened?.card.model) this.#opened = { card, ready: null, graphics: null };
    return card;
  }

  /** The film's grey values, at most `longest` on a side. */
  pixels(file, longest) {
    return this.#inTurn(() => this.#ask({ call: "pixels", file, longest }));
  }

  /**
   * What a model says of a film: as `hilum predict --json` prints it, with pictures where they are asked for.
   * @returns {Promise<{answer: any, heatmap: ImageBitmap | null, overlay: Blob | null,
   *   lungs: import("./outline.js").Levels | null}>}
   */
  predict(file, asked) {
    const answered = this.#inTurn(async () => {
      await this.#open();
      return this.#ask({ call: "predict", file, asked });
    });
    answered.then(() => this.#tryGraphics(), () => {}); // who asked hears of what went wrong
    return answered;
  }

  /** Whether films are judged on the graphics card, which shows after the first one. */
  get graphics() {
    return this.#opened?.graphics ?? false;
  }

  /** Before the next film, once for each model: a card that takes too long ends the thread, and is not tried again. */
  #tryGraphics() {
    const opened = this.#opened;
    if (opened.graphics !== null) return;
    opened.graphics = false;
    this.#inTurn(async () => {
      opened.graphics = await this.#ask({ call: "tryGraphics" });
    }).catch((error) => {
      if (!(error instanceof Refused)) throw error;
    });
  }

  /** The network of the model that was asked for last, in the thread that judges. */
  async #open() {
    const opened = this.#opened;
    opened.ready ??= (async () => {
      const content = new Uint8Array(await this.source.bundle(opened.card.model));
      await this.#ask({ call: "open", content, card: opened.card, threads: this.threads, hilum: this.hilum }, [content.buffer]);
    })();
    try {
      await opened.ready;
    } catch (error) {
      opened.ready = null;
      throw error;
    }
  }

  /**
   * One after the other, so that each has its time for itself.
   * @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  #inTurn(work) {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** @returns {Promise<any>} */
  #ask(question, moved = []) {
    this.#worker ??= this.#start();
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#end(new Refused("too_costly", "reading the film takes too long")), 1000 * SECONDS);
      this.#waiting.set(number, {
        resolve: (result) => (clearTimeout(late), resolve(result)),
        reject: (error) => (clearTimeout(late), reject(error)),
      });
      this.#worker.postMessage({ number, ...question }, moved);
    });
  }

  /** From a blob, because such a worker is bound by the page's policy; one from a file has only that of its headers. */
  #start() {
    const blob = new Blob([`import ${JSON.stringify(WORKER)};`], { type: "text/javascript" });
    const address = URL.createObjectURL(blob);
    const worker = new Worker(address, { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      const { resolve, reject } = this.#waiting.get(data.number);
      this.#waiting.delete(data.number);
      if (data.bug) reject(new Error(data.bug));
      else if (data.problem) reject(new Refused(data.problem.reason, data.problem.detail));
      else resolve(data.result);
    });
    worker.addEventListener("error", ({ message }) => {
      if (message) console.error(message); // which a thread that ran out of memory does not have
      this.#end(new Refused("too_costly", "the film could not be read in the memory that a browser has"));
    });
    return worker;
  }

  /** End the thread; the next film gets a new one. */
  #end(error) {
    this.#worker.terminate();
    this.#worker = null;
    if (this.#opened) Object.assign(this.#opened, { ready: null, graphics: false });
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Half of the cores, where the page is isolated so that threads may share memory. */
function threadsHere() {
  return globalThis.crossOriginIsolated ? Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2))) : 1;
}
