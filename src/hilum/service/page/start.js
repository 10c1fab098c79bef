// How the page without a server begins: its files come whole into the browser and stay there, then it starts.

import { the } from "./dom.js";
import { preferred, speak, t } from "./words.js";

const NEEDED = ["WebAssembly", "Worker", "OffscreenCanvas", "DecompressionStream", "BigInt64Array"];
const [ONCE, MB] = ["hilum started anew", 1e6];

await speak(preferred());
document.body.classList.remove("starting");
const lacking = !globalThis.isSecureContext ? "site.insecure" : NEEDED.some((name) => !(name in globalThis)) ? "site.old" : null;
if (lacking) say(t(lacking));
else if (await kept()) await import("./main.js");

/** Whether the page may start: with its files kept where browsers can do that, else from where they lie. */
async function kept() {
  if (!("serviceWorker" in navigator)) return true;
  navigator.serviceWorker.addEventListener("message", ({ data: { done, total } }) => {
    say(t("site.fetching", { done: Math.round(done / MB), total: Math.round(total / MB) }));
  });
  const controlled = Boolean(navigator.serviceWorker.controller);
  let registration;
  try {
    registration = await navigator.serviceWorker.register("service-worker.js", { updateViaCache: "none" });
  } catch {
    return true; // offline, or a browser that keeps nothing in this window
  }
  if (!controlled) {
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    if (!(await becomes(worker, "activated"))) {
      say(t("site.incomplete"));
      return false;
    }
    return startAnew();
  }
  if (registration.waiting) {
    const taken = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", () => resolve(true)));
    registration.waiting.postMessage("take over");
    if (await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 1000, false))])) return startAnew();
  }
  sessionStorage.removeItem(ONCE);
  return true;
}

/** Whether a worker comes as far as this state. */
function becomes(worker, state) {
  return new Promise((resolve) => {
    const look = () => {
      if (worker.state === state) resolve(true);
      else if (worker.state === "redundant") resolve(false);
    };
    worker.addEventListener("statechange", look);
    look();
  });
}

/** The page again, now from what is kept, with the headers that go with it; once, should a browser not go along. */
function startAnew() {
  if (sessionStorage.getItem(ONCE)) return true;
  sessionStorage.setItem(ONCE, "yes");
  location.reload();
  return false;
}

function say(words) {
  the("notice").textContent = words;
  the("notice").hidden = false;
}
