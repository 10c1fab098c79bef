// A bundle ready for films: its network in onnxruntime-web, its card, and what both say of a film. bundle/predictor.py.

import { in256 } from "../radiograph/film.js";
import { gateVerdict } from "./gate.js";
import { applied, atLeast } from "./place.js";

const RUNTIME = new URL("../lib/", import.meta.url).href;

/** The network of a bundle's file. @param {Uint8Array} content */
export async function openBundle(content, card, threads) {
  const runtime = await import(`${RUNTIME}ort.wasm.min.mjs`);
  runtime.env.wasm.wasmPaths = RUNTIME;
  runtime.env.wasm.numThreads = threads;
  const session = await runtime.InferenceSession.create(content, { executionProviders: ["wasm"] });
  return new Bundle(runtime, session, card);
}

class Bundle {
  constructor(runtime, session, card) {
    this.runtime = runtime;
    this.session = session;
    this.card = card;
    this.atLeast = atLeast(card.geometry);
  }

  /** What the graph and the gate say of a film; nothing is decided. */
  async look(film) {
    const { geometry, gate } = this.card;
    const levels = applied(geometry, { values: in256(film), height: film.height, width: film.width });
    const films = new this.runtime.Tensor("uint8", levels, [1, 1, geometry.height, geometry.width]);
    const outputs = await this.session.run({ films });
    const values = (name) => (outputs[name] ? Float32Array.from(outputs[name].data) : null);
    const mask = outputs.lungs && {
      values: Uint8Array.from(outputs.lungs.data, (share) => Math.round(255 * share)),
      height: outputs.lungs.dims[1], width: outputs.lungs.dims[2],
    };
    const maps = outputs.heatmaps && {
      values: values("heatmaps"), height: outputs.heatmaps.dims[2], width: outputs.heatmaps.dims[3],
    };
    const reading = {
      film: { ...film, values: null, table: null },
      gate: gateVerdict(film, values("gate"), gate),
      probabilities: values("probabilities"), groups: values("groups"), boxes: values("boxes"), scores: values("scores"),
      heatmaps: maps ?? null, lungs: mask ?? null,
    };
    for (const output of Object.values(outputs)) output.dispose();
    return reading;
  }
}
