// A film on a canvas: its window, its place, and what is drawn over it.

import * as geometry from "./geometry.js";
import { drawBox, drawnTwice } from "./marks.js";
import { dragged, preset, shades } from "./window.js";

const BOX = "#ffbe3c";
const LUNGS = "#c4d6e0b0"; // a thin line that must not look like a finding
const LENS = { radius: 120, factor: 2.5 };

/**
 * A drag that somebody else has taken: where it is on the film now, and that it is over.
 * @typedef {{move: (at: {x: number, y: number}) => void, end: () => void}} Taken
 */

export class Viewer {
  #film = null;
  #looks = new WeakMap(); // of each film: its view and window, as the user left them
  #part = new OffscreenCanvas(1, 1);
  #table = { key: "", shades: new Uint32Array(0) };
  #asked = false;
  #size = { width: 0, height: 0 };
  #pointers = new Map();
  lens = null; // where the magnifier is, once it is on
  magnifying = false;
  space = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{shown: any, words: {box: (box: any) => string, length: (millimeters: number) => string},
   *   wantsFull: (film: any) => void, onLook: () => void, over?: (pen: any, view: geometry.View) => void, drawing?: () => boolean,
   *   takes?: (at: {x: number, y: number}, view: geometry.View) => Taken | null}} context
   * `over` draws over the film; `takes` takes a drag that begins at a place of the film, instead of the window.
   */
  constructor(canvas, context) {
    this.canvas = canvas;
    this.context = context;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#listen();
  }

  /** Show a film, or none. */
  show(film) {
    this.#film = film?.pixels ? film : null;
    this.draw();
  }

  get film() {
    return this.#film;
  }

  /** How the film is shown: where, and in which window. */
  get look() {
    const film = this.#film;
    if (!film) return null;
    if (!this.#looks.has(film)) {
      const view = geometry.fit(this.#full, this.#size);
      this.#looks.set(film, { view, window: preset("whole", film.pixels.grey, film.pixels.bits), preset: "whole" });
    }
    return this.#looks.get(film);
  }

  /** The part of the film that is on the screen, in its pixels. */
  get seen() {
    const { view } = this.look;
    const [first, last] = [geometry.toFilm(view, 0, 0), geometry.toFilm(view, this.#size.width, this.#size.height)];
    const [left, top] = [Math.max(first.x, 0), Math.max(first.y, 0)];
    const [right, bottom] = [Math.min(last.x, this.#full.width), Math.min(last.y, this.#full.height)];
    return { x: left, y: top, width: right - left, height: bottom - top };
  }

  get #full() {
    const { fullWidth, fullHeight } = this.#film.pixels;
    return { width: fullWidth, height: fullHeight };
  }

  setWindow(window, name = "") {
    if (!this.look) return;
    Object.assign(this.look, { window, preset: name });
    this.draw();
  }

  usePreset(name) {
    if (this.look) this.setWindow(preset(name, this.#film.pixels.grey, this.#film.pixels.bits), name);
  }

  fit() {
    this.#setView(() => geometry.fit(this.#full, this.#size));
  }

  actual() {
    this.#setView(() => geometry.actual(this.#full, this.#size));
  }

  zoom(factor, x = this.#size.width / 2, y = this.#size.height / 2) {
    this.#setView((view) => geometry.zoomAt(view, x, y, factor, this.#full, this.#size));
  }

  #setView(change) {
    if (!this.look) return;
    this.look.view = change(this.look.view);
    this.draw();
  }

  /** Draw before the next frame, once however often this is called. */
  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
      this.context.onLook();
    });
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const before = this.#size;
    const ratio = devicePixelRatio;
    this.#size = { width: Math.round(clientWidth * ratio), height: Math.round(clientHeight * ratio) };
    if (!clientWidth || !clientHeight) return;
    Object.assign(this.canvas, this.#size);
    if (this.look) {
      this.look.view = before.width
        ? geometry.resized(this.look.view, this.#full, before, this.#size)
        : geometry.fit(this.#full, this.#size);
    }
    this.#draw();
    this.context.onLook();
  }

  #draw() {
    const pen = this.canvas.getContext("2d");
    const { width, height } = this.#size;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    if (!this.look || !width) return;
    this.#paint(pen, this.look.view, { x: 0, y: 0, width, height });
    this.context.over?.(pen, this.look.view);
    this.#drawScaleBar(pen);
    if (this.magnifying && this.lens) this.#drawLens(pen);
  }

  #paint(pen, view, area) {
    const level = this.#levelFor(view);
    const part = geometry.visible(view, this.#full, level, area);
    if (!part) return;
    this.#shade(level, part);
    const at = geometry.onCanvas(view, this.#full, level, part);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.#part, 0, 0, part.width, part.height, at.x, at.y, at.width, at.height);
    const all = { x: view.x, y: view.y, width: this.#full.width * view.scale, height: this.#full.height * view.scale };
    const { shown } = this.context;
    if (shown.heatmap && this.#film.heatmap) {
      pen.globalAlpha = shown.opacity;
      pen.drawImage(this.#film.heatmap, all.x, all.y, all.width, all.height);
      pen.globalAlpha = 1;
    }
    if (shown.lungs && this.#film.lungs) this.#drawOutline(pen, all, this.#film.lungs);
    if (shown.boxes) {
      for (const box of this.#film.answer?.boxes ?? []) drawBox(pen, view, box, BOX, this.context.words.box(box));
    }
  }

  /** The film at the size that the screen can show; the full one only once somebody looks that close. */
  #levelFor(view) {
    const { pixels, full } = this.#film;
    const close = view.scale > (pixels.width / pixels.fullWidth) * 1.01 && pixels.width < pixels.fullWidth;
    if (!close) return pixels;
    if (!full) this.context.wantsFull(this.#film);
    return full ?? pixels;
  }

  /** A part of the film in the shades of its window, on the canvas that is kept for it. */
  #shade(level, { left, top, width, height }) {
    const { window } = this.look;
    const { bits } = this.#film.pixels;
    const inverted = this.context.shown.inverted;
    const key = `${window.width} ${window.center} ${bits} ${inverted}`;
    if (this.#table.key !== key) this.#table = { key, shades: shades(window, bits, inverted) };
    const table = this.#table.shades;
    const shaded = new ImageData(width, height);
    const target = new Uint32Array(shaded.data.buffer);
    for (let row = 0, to = 0; row < height; row++) {
      let from = (top + row) * level.width + left;
      for (const end = from + width; from < end; ) target[to++] = table[level.grey[from++]];
    }
    if (this.#part.width < width || this.#part.height < height) this.#part = new OffscreenCanvas(width, height);
    this.#part.getContext("2d").putImageData(shaded, 0, 0);
  }

  #drawOutline(pen, all, lines) {
    pen.beginPath();
    for (let at = 0; at < lines.length; at += 4) {
      pen.moveTo(all.x + lines[at] * all.width, all.y + lines[at + 1] * all.height);
      pen.lineTo(all.x + lines[at + 2] * all.width, all.y + lines[at + 3] * all.height);
    }
    pen.strokeStyle = LUNGS;
    pen.lineWidth = 1.5 * devicePixelRatio;
    pen.stroke();
  }

  #drawScaleBar(pen) {
    const { spacing } = this.#film.pixels;
    if (!spacing) return;
    const ratio = devicePixelRatio;
    const bar = geometry.scaleBar(this.look.view, spacing[1], Math.min(200 * ratio, this.#size.width / 3));
    const [x, y] = [16 * ratio, this.#size.height - 16 * ratio];
    for (const [color, line] of drawnTwice("#fff")) {
      pen.strokeStyle = color;
      pen.lineWidth = line * ratio;
      pen.beginPath();
      pen.moveTo(x, y - 6 * ratio);
      pen.lineTo(x, y);
      pen.lineTo(x + bar.pixels, y);
      pen.lineTo(x + bar.pixels, y - 6 * ratio);
      pen.stroke();
    }
    pen.font = `${12 * ratio}px system-ui, sans-serif`;
    pen.textBaseline = "alphabetic";
    pen.lineWidth = 3 * ratio;
    pen.strokeStyle = "#000";
    pen.fillStyle = "#fff";
    const label = this.context.words.length(bar.millimeters);
    pen.strokeText(label, x + 4 * ratio, y - 5 * ratio);
    pen.fillText(label, x + 4 * ratio, y - 5 * ratio);
  }

  #drawLens(pen) {
    const radius = LENS.radius * devicePixelRatio;
    const { x, y } = this.lens;
    const { view } = this.look;
    const larger = {
      scale: view.scale * LENS.factor,
      x: x - (x - view.x) * LENS.factor,
      y: y - (y - view.y) * LENS.factor,
    };
    pen.save();
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.clip();
    pen.fillStyle = "#000";
    pen.fill();
    this.#paint(pen, larger, { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius });
    pen.restore();
    pen.strokeStyle = "#fff";
    pen.lineWidth = devicePixelRatio;
    pen.stroke();
  }

  #listen() {
    const { canvas } = this;
    const at = (event) => ({ x: event.offsetX * devicePixelRatio, y: event.offsetY * devicePixelRatio });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.fit());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      this.zoom(Math.exp(-event.deltaY * lines * 0.0015), at(event).x, at(event).y);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
      canvas.setPointerCapture(event.pointerId);
      const does = this.#what(event);
      const { view } = this.look ?? {};
      const taken = does === "window" && view && !this.#pointers.size
        ? this.context.takes?.(geometry.toFilm(view, at(event).x, at(event).y), view) : null;
      this.#pointers.set(event.pointerId, { ...at(event), begun: at(event), does, taken });
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = at(event);
      if (this.magnifying) {
        this.lens = now;
        this.draw();
      }
      const pointer = this.#pointers.get(event.pointerId);
      if (!pointer || !this.look) return;
      if (this.#pointers.size === 2) this.#pinch(event.pointerId, now);
      else this.#drag(pointer, now);
      Object.assign(pointer, now);
    });
    canvas.addEventListener("pointerleave", () => {
      this.lens = null;
      this.draw();
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(end, (event) => {
        this.#pointers.get(event.pointerId)?.taken?.end();
        this.#pointers.delete(event.pointerId);
      });
    }
  }

  /** What a drag is to do: on a screen one touches, one finger moves what is larger than the screen. */
  #what(event) {
    if (event.button === 1 || this.space) return "pan";
    if (event.button === 2) return "zoom";
    const larger = this.look && this.look.view.scale > geometry.fit(this.#full, this.#size).scale * 1.01;
    return event.pointerType === "touch" && larger && !this.context.drawing?.() ? "pan" : "window";
  }

  #drag(pointer, now) {
    const [dx, dy] = [now.x - pointer.x, now.y - pointer.y];
    if (pointer.taken) pointer.taken.move(geometry.toFilm(this.look.view, now.x, now.y));
    else if (pointer.does === "pan") this.#setView((view) => geometry.pan(view, dx, dy, this.#full, this.#size));
    else if (pointer.does === "zoom") this.zoom(Math.exp(-dy / (150 * devicePixelRatio)), pointer.begun.x, pointer.begun.y);
    else {
      const range = 600 * devicePixelRatio; // of a drag through all windows
      this.setWindow(dragged(this.look.window, dx / range, dy / range, this.#film.pixels.bits));
    }
  }

  #pinch(id, now) {
    const other = [...this.#pointers].find(([each]) => each !== id)[1];
    const before = this.#pointers.get(id);
    const middle = (one) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
    const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
    const [from, to] = [middle(before), middle(now)];
    this.#setView((view) => geometry.pan(view, to.x - from.x, to.y - from.y, this.#full, this.#size));
    this.zoom(apart(now) / apart(before), to.x, to.y);
  }
}
