// onnxruntime-web as this browser can use it: for its processor, or for its graphics card as well.

const FOLDER = new URL("../lib/", import.meta.url).href;
const CLOSE = 1e-3; // of an output's largest number, and of 1: far from what would turn a decision

/**
 * Whether there is a graphics card, and a browser that can wait for it from within WebAssembly; not so where it draws
 * with its processor. service-worker.js asks the same to keep what is needed.
 */
export async function graphicsHere() {
  if (!("Suspending" in WebAssembly) || !globalThis.navigator?.gpu) return false;
  return (await navigator.gpu.requestAdapter()) !== null;
}

/** @param {boolean} graphics @param {number} threads */
export async function openRuntime(graphics, threads) {
  const runtime = await import(`${FOLDER}ort.${graphics ? "jspi" : "wasm"}.min.mjs`);
  runtime.env.wasm.wasmPaths = FOLDER;
  runtime.env.wasm.numThreads = threads;
  return runtime;
}

/**
 * A network on the graphics card, if there it gives the numbers that `plain` gives for these inputs, and gives them sooner.
 * A card that cannot, and one that calculates otherwise, is none.
 */
export async function onGraphics(runtime, content, plain, inputs) {
  let session = null;
  try {
    session = await runtime.InferenceSession.create(content, { executionProviders: ["webgpu"], logSeverityLevel: 3 });
    if (await holds(session, plain, inputs)) return session;
  } catch (error) {
    console.info(`judged by the processor: ${error.message}`);
  }
  await session?.release();
  return null;
}

async function holds(session, plain, inputs) {
  for (const [place, films] of inputs.entries()) {
    const [here, there] = [await timed(session, films), await timed(plain, films)];
    const same = close(here.outputs, there.outputs);
    for (const output of [...Object.values(here.outputs), ...Object.values(there.outputs)]) output.dispose();
    // the first time a card still translates its programs
    if (!same || (place > 0 && here.took >= there.took)) return false;
  }
  return true;
}

async function timed(session, films) {
  const begun = performance.now();
  const outputs = await session.run({ films });
  return { outputs, took: performance.now() - begun };
}

/** Whether two runs say the same: each number of each output. */
export function close(outputs, others) {
  return Object.entries(outputs).every(([name, { data }]) => {
    const expected = others[name].data;
    const most = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
    return data.length === expected.length && data.every((value, place) => Math.abs(value - expected[place]) <= CLOSE * most);
  });
}
