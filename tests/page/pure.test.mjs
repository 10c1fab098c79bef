// The parts of the page that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";

import { onGraphics } from "./bundle/runtime.js";
import { decided, percent } from "./decide.js";
import { actual, fit, onCanvas, pan, resized, scaleBar, toFilm, visible, zoomAt } from "./geometry.js";
import { between, dragged as draggedBox, inTheMiddle, partAt, rounded, within } from "./label/boxes.js";
import { Watch, left, parts as hoursAndMinutes } from "./label/pace.js";
import { draftOf, plainOf, Showings } from "./label/showings.js";
import { parts } from "./multipart.js";
import { outline } from "./outline.js";
import { brightest, dragged, preset, shades } from "./window.js";
import { mostUrgent, shrunk } from "./work.js";

const close = (one, other) => assert.ok(Math.abs(one - other) < 1e-6, `${one} is not ${other}`);

let seed = 1;
const random = (low, high) => {
  seed = (seed * 48271) % 2147483647;
  return low + (seed / 2147483647) * (high - low);
};
const sizes = () => ({ width: Math.round(random(20, 5000)), height: Math.round(random(20, 5000)) });

test("a fitted film lies whole and in the middle, touching two sides", () => {
  for (let round = 0; round < 200; round++) {
    const [film, canvas] = [sizes(), sizes()];
    const view = fit(film, canvas);
    close(view.x * 2 + film.width * view.scale, canvas.width);
    close(view.y * 2 + film.height * view.scale, canvas.height);
    close(Math.min(view.x, view.y), 0);
  }
});

test("zooming keeps the place under the pointer, and zooming back undoes it", () => {
  for (let round = 0; round < 200; round++) {
    const [film, canvas] = [sizes(), sizes()];
    const before = fit(film, canvas);
    const [x, y] = [
      before.x + random(0, film.width * before.scale), before.y + random(0, film.height * before.scale),
    ];
    const after = zoomAt(before, x, y, random(1, 3), film, canvas);
    close(toFilm(after, x, y).x, toFilm(before, x, y).x);
    close(toFilm(after, x, y).y, toFilm(before, x, y).y);
    close(zoomAt(after, x, y, before.scale / after.scale, film, canvas).x, before.x);
  }
});

test("however far it is moved, the middle of the canvas stays on the film", () => {
  for (let round = 0; round < 200; round++) {
    const [film, canvas] = [sizes(), sizes()];
    const moved = pan(fit(film, canvas), random(-1e5, 1e5), random(-1e5, 1e5), film, canvas);
    const { x, y } = toFilm(moved, canvas.width / 2, canvas.height / 2);
    assert.ok(x >= -1e-6 && x <= film.width + 1e-6 && y >= -1e-6 && y <= film.height + 1e-6);
  }
});

test("one to one puts film pixels on canvas pixels", () => {
  const view = actual({ width: 101, height: 50 }, { width: 400, height: 301 });
  assert.deepEqual(view, { scale: 1, x: 150, y: 126 });
});

test("a resized canvas keeps what was fitted fitted, and the middle of what was not", () => {
  const [film, before, after] = [{ width: 1000, height: 800 }, { width: 500, height: 500 }, { width: 700, height: 400 }];
  assert.deepEqual(resized(fit(film, before), film, before, after), fit(film, after));
  const zoomed = zoomAt(fit(film, before), 250, 250, 4, film, before);
  const there = resized(zoomed, film, before, after);
  close(toFilm(there, 350, 200).x, toFilm(zoomed, 250, 250).x);
});

test("the visible part covers the canvas wherever the film is, and lies where its pixels belong", () => {
  for (let round = 0; round < 200; round++) {
    const [film, canvas] = [sizes(), sizes()];
    const level = { width: Math.ceil(film.width / 2), height: Math.ceil(film.height / 2) };
    const view = zoomAt(fit(film, canvas), random(0, canvas.width), random(0, canvas.height), random(1, 8), film, canvas);
    const part = visible(view, film, level, { x: 0, y: 0, ...canvas });
    const at = onCanvas(view, film, level, part);
    assert.ok(at.x <= Math.max(view.x, 0) + 1e-6);
    assert.ok(at.x + at.width >= Math.min(view.x + film.width * view.scale, canvas.width) - 1e-6);
    close(at.width / part.width, (film.width / level.width) * view.scale);
  }
  assert.equal(visible({ scale: 1, x: 500, y: 0 }, sizes(), sizes(), { x: 0, y: 0, width: 100, height: 100 }), null);
});

test("a scale bar has a round length that fits", () => {
  assert.deepEqual(scaleBar({ scale: 0.5, x: 0, y: 0 }, 0.2, 130), { millimeters: 50, pixels: 125 });
  for (let round = 0; round < 100; round++) {
    const { millimeters, pixels } = scaleBar({ scale: random(0.01, 30), x: 0, y: 0 }, random(0.05, 0.4), 200);
    assert.ok(pixels > 79 && pixels <= 200 && /^(1|2|5)0*$|^0\.0*(1|2|5)$/.test(String(Number(millimeters.toPrecision(1)))));
  }
});

test("the whole range shows every level as it is, and inverted as its contrary", () => {
  const window = preset("whole", new Uint16Array([0, 9]), 12);
  assert.deepEqual(window, { width: 4095, center: 2047.5 });
  const [plain, inverted] = [shades(window, 12, false), shades(window, 12, true)];
  for (const grey of [0, 1, 257, 30000, 65535]) {
    assert.equal(plain[grey] & 255, Math.round(grey / 257));
    assert.equal((inverted[grey] & 255) + (plain[grey] & 255), 255);
    assert.equal(plain[grey] >>> 24, 255);
  }
});

test("presets leave out the darkest and the brightest", () => {
  const grey = Uint16Array.from({ length: 1000 }, (_, place) => place * 65);
  const { width, center } = preset("auto", grey, 16);
  assert.ok(center - width / 2 > 0 && center + width / 2 < 65 * 999);
  assert.ok(dragged({ width: 1, center: 0 }, -9, -9, 8).width > 0);
  assert.equal(brightest(8), 255);
});

const CARD = {
  operating_points: [{ name: "low", threshold: 0.2 }, { name: "high", threshold: 0.8 }],
  groups: [],
};

test("an answer is decided anew at another operating point, from its threshold on", () => {
  const answer = { probability: 0.8, decision: "no_pneumonia", finding: null, probabilities: {} };
  assert.equal(decided(answer, CARD, "high").decision, "pneumonia");
  assert.equal(decided({ ...answer, probability: 0.799999 }, CARD, "high").decision, "no_pneumonia");
  assert.equal(decided({ ...answer, probability: null, decision: "abstain" }, CARD, "low").decision, "abstain");
});

test("what is no pneumonia is another finding where that is likelier than normal", () => {
  const answer = { probability: 0.3, finding: "x", probabilities: { normal: 0.3, other_finding: 0.4 } };
  assert.equal(decided(answer, CARD, "high").finding, "other_finding");
  assert.equal(decided(answer, CARD, "low").finding, "pneumonia");
});

test("where there are groups of patients, the threshold is that of the patient's", () => {
  const groups = [
    { name: "child", operating_points: [{ name: "low", threshold: 0.1 }] },
    { name: "adult", operating_points: [{ name: "low", threshold: 0.6 }] },
  ];
  const answer = { probability: 0.5, finding: null, probabilities: {}, patient_group: { name: "adult" } };
  assert.equal(decided(answer, { groups }, "low").decision, "no_pneumonia");
  assert.equal(decided({ ...answer, patient_group: { name: "child" } }, { groups }, "low").threshold, 0.1);
});

test("no probability is rounded to certainty", () => {
  assert.deepEqual([0, 0.004, 0.01, 0.874, 0.99, 0.996, 1].map(percent), ["<1%", "<1%", "1%", "87%", "99%", ">99%", ">99%"]);
});

test("parts of a mixed answer come out byte for byte", () => {
  const bytes = Uint8Array.from({ length: 512 }, (_, place) => place % 256);
  const head = (name, type) => `--ab12\r\nContent-Type: ${type}\r\nContent-Disposition: inline; name="${name}"\r\n\r\n`;
  const body = Buffer.concat([
    Buffer.from(head("prediction-0", "application/json")), Buffer.from('{"a": 1}\n\r\n'),
    Buffer.from(head("heatmap-0", "image/png")), Buffer.from(bytes), Buffer.from("\r\n--ab12--\r\n"),
  ]);
  const found = parts(new Uint8Array(body), "multipart/mixed; boundary=ab12");
  assert.deepEqual([...found.keys()], ["prediction-0", "heatmap-0"]);
  assert.equal(Buffer.from(found.get("prediction-0").content).toString(), '{"a": 1}\n');
  assert.deepEqual([...found.get("heatmap-0").content], [...bytes]);
});

const film = (values) => ({ state: "waiting", pixels: null, full: null, thumb: null, reading: false, wantsFull: false, ...values });

test("the film one looks at comes first, then its answer, then the others", () => {
  const [one, two] = [film({}), film({})];
  const films = { current: two, pinned: null, sorted: [one, two], card: {} };
  const order = [];
  for (let next; (next = mostUrgent(films)); ) {
    order.push([next.what, films.sorted.indexOf(next.film)]);
    if (next.what === "answer") next.film.state = "answered";
    else Object.assign(next.film, { [next.what]: {}, thumb: {} });
  }
  assert.deepEqual(order, [["pixels", 1], ["answer", 1], ["answer", 0], ["thumb", 0]]);
});

test("a small picture has the means of its blocks", () => {
  const grey = Uint16Array.from([0, 10, 20, 30, 40, 50, 60, 70]);
  assert.deepEqual(shrunk({ grey, width: 4, height: 2 }, 2), { grey: Uint16Array.from([25, 45]), width: 2, height: 1 });
});

test("the outline of a mask lies where it passes through a half", () => {
  const [width, height, radius] = [90, 60, 17];
  const grey = Uint8Array.from({ length: width * height }, (_, at) => {
    const apart = Math.hypot((at % width) - 40, Math.floor(at / width) - 25);
    return Math.min(Math.max(127.5 + 20 * (radius - apart), 0), 255);
  });
  const lines = outline({ grey, width, height });
  let around = 0;
  for (let at = 0; at < lines.length; at += 4) {
    const [x, y, toX, toY] = [0, 1, 2, 3].map((end) => lines[at + end] * (end % 2 ? height : width) - 0.5);
    assert.ok(Math.abs(Math.hypot(x - 40, y - 25) - radius) < 0.1);
    around += Math.hypot(toX - x, toY - y);
  }
  assert.ok(Math.abs(around - 2 * Math.PI * radius) < 1);
  assert.equal(outline({ grey: grey.fill(255), width, height }).length, 0);
});

let clock = 0; // of the page, in milliseconds
performance.now = () => clock;

/** A network that says `numbers` after some milliseconds; the first time after more, as graphics cards do. */
const network = (numbers, milliseconds) => ({
  released: false, runs: 0,
  async run() {
    clock += this.runs++ ? milliseconds : 100;
    if (!numbers) throw new Error("the device was lost");
    return { probabilities: { data: Float32Array.from(numbers), dispose() {} } };
  },
  async release() {
    this.released = true;
  },
});
const tried = (create) => onGraphics({ InferenceSession: { create } }, null, network([0.7, 0.2], 40), [1, 2, 3]);

test("films are judged on a graphics card that gives the same numbers sooner, and on no other", async () => {
  const good = network([0.7005, 0.2], 1);
  assert.equal(await tried(async () => good), good);
  for (const bad of [network([0.71, 0.2], 1), network([NaN, 0.2], 1), network([0.7, 0.2], 80), network(null, 1)]) {
    assert.equal(await tried(async () => bad), null);
    assert.ok(bad.released);
  }
  assert.equal(await tried(async () => { throw new Error("no such operator"); }), null);
});

const box = (film) => {
  const [one, other] = [film, film].map(({ width, height }) => ({ x: random(0, width), y: random(0, height) }));
  return between(one, other, film);
};
const inside = ({ x, y, width, height }, film) =>
  x >= -1e-6 && y >= -1e-6 && width >= 0 && height >= 0 && x + width <= film.width + 1e-6 && y + height <= film.height + 1e-6;

test("a box is the same whichever of its corners it was drawn from, and never beyond the film", () => {
  for (let round = 0; round < 200; round++) {
    const film = sizes();
    const [one, other] = [0, 1].map(() => ({ x: random(-500, film.width + 500), y: random(-500, film.height + 500) }));
    assert.deepEqual(between(one, other, film), between(other, one, film));
    assert.deepEqual(between(one, other, film), between({ x: one.x, y: other.y }, { x: other.x, y: one.y }, film));
    assert.ok(inside(between(one, other, film), film));
  }
});

test("a box that is moved keeps its size, one that is resized its other sides; both stay on the film", () => {
  for (let round = 0; round < 200; round++) {
    const film = sizes();
    const before = box(film);
    const [dx, dy] = [random(-9000, 9000), random(-9000, 9000)];
    const moved = draggedBox(before, "inside", dx, dy, film);
    close(moved.width, before.width);
    close(moved.height, before.height);
    const grown = draggedBox(before, "se", Math.abs(dx), Math.abs(dy), film);
    close(grown.x, before.x);
    close(grown.y, before.y);
    close(draggedBox(before, "n", 0, random(-50, 50), film).x, before.x);
    for (const part of ["inside", "n", "s", "e", "w", "ne", "nw", "se", "sw"]) {
      assert.ok(inside(draggedBox(before, part, dx, dy, film), film));
    }
    assert.ok(inside(within({ ...before, x: dx, y: dy }, film), film));
  }
});

test("a box is taken by its corners, its sides or from inside, and not from elsewhere", () => {
  const taken = { x: 100, y: 200, width: 300, height: 100 };
  const at = (x, y) => partAt(taken, { x, y }, 5);
  assert.deepEqual([at(100, 200), at(403, 298), at(98, 250), at(250, 303)], ["nw", "se", "w", "s"]);
  assert.deepEqual([at(250, 250), at(94, 250), at(250, 306)], ["inside", null, null]);
});

test("boxes end on whole pixels, at least one", () => {
  assert.deepEqual(rounded({ x: 1.4, y: 2.6, width: 3.2, height: 0.1, label: "a" }), { x: 1, y: 3, width: 4, height: 1, label: "a" });
  const film = { width: 1000, height: 800 };
  assert.deepEqual(inTheMiddle({ x: 0, y: 0, width: 1000, height: 800 }, film), { x: 375, y: 300, width: 250, height: 200, label: null });
});

test("who goes for a coffee has not looked at a film all the while", () => {
  const watch = new Watch(0);
  watch.touch(10);
  watch.touch(1000);
  assert.equal(watch.seconds(1005), 10 + 60 + 5);
});

test("what is left takes as long as the latest films, by their median", () => {
  assert.equal(left(10, [5, 6]), null);
  assert.equal(left(10, [1000, 4, 6]), 60);
  assert.equal(left(2, [...Array(100).fill(100), ...Array(50).fill(3)]), 6);
  assert.deepEqual(hoursAndMinutes(5), { hours: 0, minutes: 1 });
  assert.deepEqual(hoursAndMinutes(3 * 3600 + 1500), { hours: 3, minutes: 30 });
  assert.deepEqual(hoursAndMinutes(4 * 3600 - 90), { hours: 4, minutes: 0 });
  assert.deepEqual(hoursAndMinutes(50 * 3600), { hours: 50, minutes: 0 });
});

test("what was said comes back as it was given", () => {
  const reading = { label: "a", readable: true, lateral: false, doubt: true, note: "x", boxes: [[1, 2, 3, 4], [5, 6, 7, 8, "b"]] };
  assert.deepEqual(plainOf(draftOf(reading)), reading);
});

test("the next film is the next that was not read, from the first again after the last", () => {
  const showings = new Showings();
  const reading = { given: "2026", seconds: 1, label: "a", readable: true, lateral: false, doubt: false, note: "", boxes: [] };
  const readings = [0, 2, 3].map((place) => ({ place, ...reading }));
  showings.begin({ reader: "r", classes: ["a"], answers: "never", round: "first", count: 5, readings });
  assert.equal(showings.place, 1);
  assert.ok(showings.next());
  assert.equal(showings.place, 4);
  assert.deepEqual([...showings.coming()].map((film) => film.id), [1]);
  assert.ok(!showings.says && !showings.given && !showings.seen);
  showings.current.pixels = {};
  assert.ok(showings.seen);
  showings.draft.label = "a";
  assert.ok(showings.says && showings.touched && !showings.given);
});
