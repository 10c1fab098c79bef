// Boxes over the film: drawn, and taken hold of with the mouse or the keys.

import { drawBox } from "../marks.js";
import { LEAST, between, dragged, inTheMiddle, partAt, rounded, within } from "./boxes.js";

const [OWN, CHOSEN, OTHERS] = ["#7fe3ff", "#ffffff", "#d6a0ff"];
const REACH = 8; // screen pixels around a side that take hold of it
const STEP = 4; // screen pixels that an arrow key moves

/** @param {import("./showings.js").Showings} showings @param {() => import("../viewer.js").Viewer} viewer */
export function boxTool(showings, viewer) {
  const size = () => {
    const { fullWidth, fullHeight } = showings.current.pixels;
    return { width: fullWidth, height: fullHeight };
  };
  const change = (place, box) => {
    showings.draft.boxes[place] = box;
    showings.changed();
  };

  /** Take a drag that begins on a box, or draws one. */
  function takes(at, view) {
    const reach = (REACH * devicePixelRatio) / view.scale;
    const { boxes } = showings.draft;
    const order = boxes.map((_, place) => place).sort((one, other) => Number(other === showings.box) - Number(one === showings.box));
    for (const place of order) {
      const part = partAt(boxes[place], at, reach);
      if (part && (showings.drawing || part !== "inside" || place === showings.box)) return holding(place, part, at);
    }
    if (!showings.drawing) {
      if (showings.box !== null) showings.set({ box: null });
      return null;
    }
    return drawingFrom(at);
  }

  function holding(place, part, at) {
    const before = showings.draft.boxes[place];
    showings.set({ box: place });
    return {
      move: (now) => change(place, dragged(before, part, now.x - at.x, now.y - at.y, size())),
      end: () => change(place, rounded(showings.draft.boxes[place])),
    };
  }

  function drawingFrom(at) {
    const { boxes } = showings.draft;
    const place = boxes.length;
    return {
      move: (now) => {
        boxes[place] = between(at, now, size());
        showings.set({ box: place });
      },
      end: () => {
        if (!boxes[place]) return;
        if (boxes[place].width < LEAST || boxes[place].height < LEAST) {
          boxes.length = place;
          showings.set({ box: null });
        } else change(place, rounded(boxes[place]));
      },
    };
  }

  /** Draw one's own boxes, and those of others where they are to be seen. */
  function over(pen, view) {
    const film = showings.current;
    if (!film?.pixels) return;
    for (const other of film.about?.others ?? []) {
      for (const [x, y, width, height] of other.boxes) drawBox(pen, view, { x, y, width, height }, OTHERS, other.reader);
    }
    showings.draft.boxes.forEach((box, place) => {
      const chosen = place === showings.box;
      drawBox(pen, view, box, chosen ? CHOSEN : OWN, box.label ?? String(place + 1));
      if (chosen) drawCorners(pen, view, box);
    });
  }

  const keys = {
    draw: () => showings.set({ drawing: !showings.drawing }),
    add: () => {
      if (!showings.current?.pixels) return;
      showings.draft.boxes.push(inTheMiddle(viewer().seen, size()));
      showings.set({ box: showings.draft.boxes.length - 1 });
    },
    choose: (step) => {
      const { length } = showings.draft.boxes;
      if (length) showings.set({ box: showings.box === null ? (step > 0 ? 0 : length - 1) : (showings.box + step + length) % length });
    },
    remove: () => {
      if (showings.box === null) return;
      showings.draft.boxes.splice(showings.box, 1);
      showings.set({ box: null });
    },
    /** Move the chosen box by some pixels of the screen, or with `resize` its right and lower sides. */
    arrow: (dx, dy, resize) => {
      const step = Math.max(Math.round((STEP * devicePixelRatio) / viewer().look.view.scale), 1);
      const box = showings.draft.boxes[showings.box];
      const grown = { ...box, width: Math.max(box.width + dx * step, 1), height: Math.max(box.height + dy * step, 1) };
      change(showings.box, within(resize ? grown : { ...box, x: box.x + dx * step, y: box.y + dy * step }, size()));
    },
  };
  return { takes, over, keys, drawing: () => showings.drawing };
}

/** The corners by which a box is taken hold of. */
function drawCorners(pen, view, box) {
  const ratio = devicePixelRatio;
  const side = 8 * ratio;
  for (const [across, down] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
    const x = view.x + (box.x + across * box.width) * view.scale - side / 2;
    const y = view.y + (box.y + down * box.height) * view.scale - side / 2;
    pen.fillStyle = "#000";
    pen.fillRect(x - ratio, y - ratio, side + 2 * ratio, side + 2 * ratio);
    pen.fillStyle = CHOSEN;
    pen.fillRect(x, y, side, side);
  }
}
