// The bar under the film: how it is shown, by buttons and by keys, whatever the page is for.

import { the } from "./dom.js";
import { PRESETS } from "./window.js";

/** What can be done to how films are shown; the first viewer has the film one works on. */
export function viewingActions(viewers, shown) {
  const [viewer] = viewers;
  const redraw = () => viewers.forEach((each) => each.draw());
  const toggle = (name) => () => {
    shown[name] = !shown[name];
    redraw();
  };
  return {
    preset: () => viewer.look && viewer.usePreset(PRESETS[(PRESETS.indexOf(viewer.look.preset) + 1) % PRESETS.length]),
    invert: toggle("inverted"),
    heatmap: toggle("heatmap"),
    boxes: toggle("boxes"),
    lungs: toggle("lungs"),
    fit: () => viewers.forEach((each) => each.fit()),
    actual: () => viewer.actual(),
    zoom: (factor) => viewer.zoom(factor),
    magnifier: () => {
      for (const each of viewers) each.magnifying = !each.magnifying;
      viewer.lens ??= { x: the("canvas").width / 2, y: the("canvas").height / 2 };
      redraw();
    },
    help: () => {
      the("keys").showModal();
      the("keys").scrollTop = 0; // what has the focus stands at its end
    },
  };
}

/** Do it when the bar's buttons are pressed. */
export function listenToTools(viewers, shown, actions) {
  const [viewer] = viewers;
  const on = (id, event, does) => the(id).addEventListener(event, does);
  for (const id of ["invert", "heatmap", "boxes", "lungs", "fit", "actual", "magnifier"]) on(id, "click", actions[id]);
  on("show-keys", "click", actions.help);
  on("opacity", "input", () => {
    Object.assign(shown, { opacity: the("opacity").value / 100, heatmap: true });
    viewers.forEach((each) => each.draw());
  });
  on("preset", "change", () => the("preset").value && viewer.usePreset(the("preset").value));
  for (const id of ["window-width", "window-center"]) {
    on(id, "change", () => {
      const [width, center] = [the("window-width").valueAsNumber, the("window-center").valueAsNumber];
      if (width >= 1 && Number.isFinite(center)) viewer.setWindow({ width, center });
    });
  }
}

/** @param {{lungs: boolean, boxes: boolean, heatmap: boolean}} has what there is to be drawn over films */
export function drawTools(viewer, shown, has) {
  const look = viewer.look;
  for (const control of the("tools").querySelectorAll("button, input, select")) control.disabled = !look;
  the("invert").setAttribute("aria-pressed", String(shown.inverted));
  the("heatmap").setAttribute("aria-pressed", String(shown.heatmap));
  the("boxes").setAttribute("aria-pressed", String(shown.boxes));
  the("lungs").setAttribute("aria-pressed", String(shown.lungs));
  the("lungs").hidden = !has.lungs;
  the("boxes").hidden = !has.boxes;
  for (const id of ["heatmap", "opacity"]) the(id).hidden = !has.heatmap;
  the("magnifier").setAttribute("aria-pressed", String(viewer.magnifying));
  the("zoom").textContent = look ? `${Math.round(100 * look.view.scale)}%` : "";
  if (!look) return;
  for (const [id, value] of [["window-width", look.window.width], ["window-center", look.window.center]]) {
    if (document.activeElement !== the(id)) the(id).value = Math.round(value);
  }
  the("preset").value = look.preset;
}
