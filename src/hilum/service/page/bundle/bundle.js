// A bundle ready for films: its network in onnxruntime-web, its card, and what both say of a film. bundle/predictor.py.

import { in256 } from "../radiograph/film.js";
import { gateVerdict } from "./gate.js";
import { applied, atLeast } from "./place.js";
import { graphicsHere, onGraphics, openRuntime } from "./runtime.js";

/** The network of a bundle's file. @param {Uint8Array} content */
export async function openBundle(content, card, threads) {
  if (await graphicsHere()) {
    try {
      return await opened(content, card, await openRuntime(true, threads), true);
    } catch {
      // not among the files that were kept; should the bundle be at fault, it is below as well
    }
  }
  return opened(content, card, await openRuntime(false, threads), false);
}

async function opened(content, card, runtime, graphics) {
  const session = await runtime.InferenceSession.create(content, { executionProviders: ["wasm"] });
  return new Bundle(runtime, session, card, graphics ? content : null);
}

class Bundle {
  /** @param {Uint8Array | null} content the file, where a graphics card may judge with it as well */
  constructor(runtime, session, card, content) {
    this.runtime = runtime;
    this.session = session;
    this.graphics = null;
    this.trial = content && { content, levels: null };
    this.card = card;
    this.atLeast = atLeast(card.geometry);
  }

  /** Judge on the graphics card from now on, if it says of a film what the processor said, and sooner; whether it does. */
  async tryGraphics() {
    if (!this.trial?.levels) return false;
    const { content, levels } = this.trial;
    this.trial = null;
    const inputs = [levels, levels.toReversed(), levels.map((level) => 255 - level)].map((each) => this.#input(each));
    this.graphics = await onGraphics(this.runtime, content, this.session, inputs);
    return this.graphics !== null;
  }

  /** What the graph and the gate say of a film; nothing is decided. */
  async look(film) {
    const levels = applied(this.card.geometry, { values: in256(film), height: film.height, width: film.width });
    if (this.trial) this.trial.levels = levels;
    const outputs = await this.#run(this.#input(levels));
    const values = (name) => (outputs[name] ? Float32Array.from(outputs[name].data) : null);
    const mask = outputs.lungs && {
      values: new Uint8Array(outputs.lungs.data.map((share) => Math.round(255 * share))),
      height: outputs.lungs.dims[1], width: outputs.lungs.dims[2],
    };
    const maps = outputs.heatmaps && {
      values: values("heatmaps"), height: outputs.heatmaps.dims[2], width: outputs.heatmaps.dims[3],
    };
    const reading = {
      film: { ...film, values: null, table: null },
      gate: gateVerdict(film, values("gate"), this.card.gate),
      probabilities: values("probabilities"), groups: values("groups"), boxes: values("boxes"), scores: values("scores"),
      heatmaps: maps ?? null, lungs: mask ?? null,
    };
    for (const output of Object.values(outputs)) output.dispose();
    return reading;
  }

  /** By the graphics card while it works: one may be taken away, and the processor goes on. */
  async #run(films) {
    try {
      if (this.graphics) return await this.graphics.run({ films });
    } catch {
      this.graphics = null;
    }
    return this.session.run({ films });
  }

  #input(levels) {
    return new this.runtime.Tensor("uint8", levels, [1, 1, this.card.geometry.height, this.card.geometry.width]);
  }
}
