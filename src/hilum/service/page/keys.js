// What the keyboard does, in one table, which is also what the help shows.

import { make, the } from "./dom.js";
import { t } from "./words.js";

const MOUSE = ["drag", "right_drag", "wheel", "middle_drag", "double"];

/** The keys for how a film is shown, which are the same whatever the page is for; `actual` is the key for 1:1. */
export function viewingKeys(actions, actual = "1") {
  return [
    { keys: ["w"], shown: "w", name: "preset", does: [actions.preset] },
    { keys: ["i"], shown: "i", name: "invert", does: [actions.invert] },
    { keys: ["h"], shown: "h", name: "heatmap", does: [actions.heatmap] },
    { keys: ["0"], shown: "0", name: "fit", does: [actions.fit] },
    { keys: [actual], shown: actual, name: "actual", does: [actions.actual] },
    { keys: ["+", "-"], shown: "+ −", name: "zoom", does: [() => actions.zoom(1.25), () => actions.zoom(0.8)] },
    { keys: ["m"], shown: "m", name: "magnifier", does: [actions.magnifier] },
    { keys: ["?"], shown: "?", name: "help", does: [actions.help] },
  ];
}

/** The keys that walk a list. */
export function walkingKeys(actions) {
  return [
    { keys: ["ArrowUp", "ArrowDown"], shown: "↑ ↓", name: "walk", does: [() => actions.walk(-1), () => actions.walk(1)] },
    { keys: ["Home", "End"], shown: "Home End", name: "ends", does: [() => actions.walk(-1e6), () => actions.walk(1e6)] },
  ];
}

/**
 * @typedef {{keys: string[], shown: string, name: string, does: ((event: KeyboardEvent) => void)[]}} KeyRow
 *   `name` is that of the words for it; a key's does stands at its place
 * @param {KeyRow[]} table
 * @param {{space: (held: boolean) => void}} held
 */
export function listenToKeys(table, held) {
  const byKey = new Map(table.flatMap(({ keys, does }) => keys.map((key, place) => [key, does[place]])));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = /** @type {Element} */ (event.target);
    if (event.key === " " && !target.closest("button, input, select, textarea")) {
      event.preventDefault();
      held.space(true);
    }
    if (usesItself(target, event.key)) return;
    const action = byKey.get(event.key) ?? byKey.get(event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  addEventListener("keyup", (event) => event.key === " " && held.space(false));
}

/** Whether what has the focus does something of its own with a key. */
function usesItself(element, key) {
  if (element.matches("input[type=number], input[type=password], select, textarea")) return true;
  if (key === "Enter" && element.matches("button, a, summary")) return true;
  return element.matches("input[type=radio], input[type=range]") && (key.startsWith("Arrow") || key === "Home" || key === "End");
}

/** The table of all keys, in the language that is spoken. @param {KeyRow[]} table */
export function drawKeys(table) {
  const row = (shown, words) => make("tr", {}, make("th", { scope: "row" }, shown), make("td", {}, words));
  the("keys-table").replaceChildren(
    ...table.map(({ shown, name }) => row(shown, t(`keys.${name}`))),
    ...MOUSE.map((name) => row(t(`keys.mouse.${name}`), t(`keys.${name}`))),
  );
}
