// The grey values of a JPEG at 1/2, 1/4 or 1/8 of its size, to the very levels that libjpeg-turbo gives Python.
//
// Of each block of 8 x 8 only what the smaller picture needs is computed, in the whole numbers of libjpeg's jidctred.c.
// No decoder for browsers does it, and a network tells the means of rounded pixels from this.

const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);
const LOOK = 9; // bits of a code that are looked up at once
const MOST_COMPONENTS = 4;

/** What this decoder leaves to the other one: arithmetic coding, and whatever is damaged. */
class NotHere extends Error {}

/**
 * The first component, which is all of a grey picture and the brightness of a colored one; null where only the whole
 * decoder can say what the picture is.
 * @param {number} block 2, 4 or 8: pixels of the file along each side of one of the result
 * @returns {{values: Uint8Array, height: number, width: number} | null}
 */
export function decodedSmall(data, block) {
  try {
    return smaller(coefficientsOf(data), block);
  } catch (error) {
    if (error instanceof NotHere) return null;
    throw error;
  }
}

function coefficientsOf(data) {
  const state = { data, tables: new Map(), quantizers: [], frame: null, restart: 0, scans: 0 };
  let position = 2;
  while (position + 4 <= data.length) {
    if (data[position] !== 0xff) throw new NotHere();
    const marker = data[position + 1];
    if (marker === 0xff) {
      position++;
      continue;
    }
    if (marker === 0xd9) break;
    const end = position + 2 + (data[position + 2] << 8) + data[position + 3];
    const body = data.subarray(position + 4, end);
    if (marker === 0xdb) readQuantizers(body, state);
    else if (marker === 0xc4) readTables(body, state);
    else if (marker === 0xdd) state.restart = (body[0] << 8) | body[1];
    else if (marker === 0xee && body[0] === 0x41 && body[11] === 0) state.untransformed = true;
    else if (marker >= 0xc0 && marker <= 0xc2) readFrame(marker, body, state);
    else if (marker >= 0xc3 && marker <= 0xcf && marker !== 0xc8) throw new NotHere();
    position = marker === 0xda ? readScan(body, end, state) : end;
  }
  const { frame } = state;
  if (!frame || !state.scans || (frame.components.length > 1 && (frame.components.length !== 3 || state.untransformed))) {
    throw new NotHere();
  }
  const [first] = frame.components;
  if (!state.quantizers[first.quantizer] || first.across !== frame.mostAcross || first.down !== frame.mostDown) throw new NotHere();
  return { ...frame, first, quantizer: state.quantizers[first.quantizer] };
}

function readQuantizers(body, state) {
  for (let at = 0; at < body.length; ) {
    const [wide, number] = [body[at] >> 4, body[at] & 15];
    at++;
    const table = new Int32Array(64);
    for (let place = 0; place < 64; place++, at += wide ? 2 : 1) {
      table[ZIGZAG[place]] = wide ? (body[at] << 8) | body[at + 1] : body[at];
    }
    if (at > body.length) throw new NotHere();
    state.quantizers[number] = table;
  }
}

function readTables(body, state) {
  for (let at = 0; at + 17 <= body.length; ) {
    const name = body[at];
    const counts = body.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    state.tables.set(name, tableOf(counts, body.subarray(at + 17, at + 17 + total)));
    at += 17 + total;
  }
}

/** A Huffman table: short codes to be looked up, as length * 256 + value, and the ranges of the others. */
function tableOf(counts, values) {
  const looked = new Uint16Array(1 << LOOK);
  const [last, offset] = [new Int32Array(18).fill(-1), new Int32Array(18)];
  let [code, place] = [0, 0];
  for (let length = 1; length <= 16; length++, code <<= 1) {
    offset[length] = place - code;
    for (let number = 0; number < counts[length - 1]; number++, code++, place++) {
      if (length > LOOK) continue;
      const start = code << (LOOK - length);
      looked.fill(length * 256 + values[place], start, start + (1 << (LOOK - length)));
    }
    if (counts[length - 1]) last[length] = code - 1;
  }
  return { looked, last, offset, values };
}

function readFrame(marker, body, state) {
  if (state.frame || body[0] !== 8) throw new NotHere();
  const [height, width, count] = [(body[1] << 8) | body[2], (body[3] << 8) | body[4], body[5]];
  if (count > MOST_COMPONENTS || body.length < 6 + 3 * count) throw new NotHere();
  const components = Array.from({ length: count }, (_, number) => {
    const [id, factors, quantizer] = body.subarray(6 + 3 * number, 9 + 3 * number);
    return { id, across: factors >> 4, down: factors & 15, quantizer, previous: 0, columns: 0, rows: 0, blocksAcross: 0, blocks: null };
  });
  const mostAcross = Math.max(...components.map((each) => each.across));
  const mostDown = Math.max(...components.map((each) => each.down));
  if (components.some((each) => !each.across || !each.down || each.across > 4 || each.down > 4)) throw new NotHere();
  const [unitsAcross, unitsDown] = [Math.ceil(width / (8 * mostAcross)), Math.ceil(height / (8 * mostDown))];
  components.forEach((each, number) => {
    each.columns = Math.ceil(Math.ceil((width * each.across) / mostAcross) / 8);
    each.rows = Math.ceil(Math.ceil((height * each.down) / mostDown) / 8);
    each.blocksAcross = unitsAcross * each.across;
    // Only the first component is kept. Of the others each block goes to the same place.
    each.blocks = new Int16Array(number ? 64 : each.blocksAcross * unitsDown * each.down * 64);
  });
  state.frame = { progressive: marker === 0xc2, height, width, components, mostAcross, mostDown, unitsAcross, unitsDown };
}

/** Read a scan; where the next marker is. */
function readScan(body, start, state) {
  const { frame, data } = state;
  if (!frame) throw new NotHere();
  const count = body[0];
  const members = Array.from({ length: count }, (_, number) => {
    const [id, tables] = body.subarray(1 + 2 * number, 3 + 2 * number);
    const component = frame.components.find((each) => each.id === id);
    if (!component) throw new NotHere();
    return { component, dc: state.tables.get(tables >> 4), ac: state.tables.get(16 + (tables & 15)) };
  });
  const [from, to, bits] = body.subarray(1 + 2 * count, 4 + 2 * count);
  state.scans++;
  if (count === 1 && members[0].component !== frame.components[0]) return nextMarker(data, start);
  const reader = new Bits(data, start);
  const how = { from, to: frame.progressive ? to : 63, high: bits >> 4, low: bits & 15, run: 0 };
  if (how.to > 63 || how.from > how.to) throw new NotHere();
  const decode = !frame.progressive ? sequential
    : how.from === 0 ? (how.high ? dcAgain : dcFirst)
    : how.high ? acAgain : acFirst;
  for (const { component, dc, ac } of members) {
    component.previous = 0;
    if ((how.from === 0 && !how.high && !dc) || (how.to > 0 && (!frame.progressive || how.from > 0) && !ac)) throw new NotHere();
  }
  const alone = count === 1;
  const [{ component: only }] = members;
  const units = alone ? only.columns * only.rows : frame.unitsAcross * frame.unitsDown;
  for (let unit = 0; unit < units; unit++) {
    if (state.restart && unit && unit % state.restart === 0) {
      reader.restart();
      how.run = 0;
      for (const { component } of members) component.previous = 0;
    }
    if (alone) {
      const [row, column] = [Math.floor(unit / only.columns), unit % only.columns];
      decode(reader, only, (row * only.blocksAcross + column) * 64, members[0], how);
      continue;
    }
    const [unitRow, unitColumn] = [Math.floor(unit / frame.unitsAcross), unit % frame.unitsAcross];
    for (const member of members) {
      const { component } = member;
      const kept = component === frame.components[0];
      for (let y = 0; y < component.down; y++) {
        for (let x = 0; x < component.across; x++) {
          const place = (unitRow * component.down + y) * component.blocksAcross + unitColumn * component.across + x;
          if (!kept) component.blocks.fill(0);
          decode(reader, component, kept ? place * 64 : 0, member, how);
        }
      }
    }
  }
  return nextMarker(data, reader.position);
}

function sequential(reader, component, at, { dc, ac }) {
  const { blocks } = component;
  component.previous += reader.signed(reader.symbol(dc));
  blocks[at] = component.previous;
  for (let place = 1; place < 64; place++) {
    const symbol = reader.symbol(ac);
    const [zeros, size] = [symbol >> 4, symbol & 15];
    if (size === 0) {
      if (zeros < 15) return;
      place += 15;
      continue;
    }
    place += zeros;
    if (place > 63) throw new NotHere();
    blocks[at + ZIGZAG[place]] = reader.signed(size);
  }
}

function dcFirst(reader, component, at, { dc }, { low }) {
  component.previous += reader.signed(reader.symbol(dc));
  component.blocks[at] = component.previous << low;
}

function dcAgain(reader, component, at, _, { low }) {
  if (reader.bits(1)) component.blocks[at] |= 1 << low;
}

function acFirst(reader, component, at, { ac }, how) {
  if (how.run > 0) {
    how.run--;
    return;
  }
  for (let place = how.from; place <= how.to; place++) {
    const symbol = reader.symbol(ac);
    const [zeros, size] = [symbol >> 4, symbol & 15];
    if (size === 0) {
      if (zeros < 15) {
        how.run = (1 << zeros) + (zeros ? reader.bits(zeros) : 0) - 1;
        return;
      }
      place += 15;
      continue;
    }
    place += zeros;
    if (place > 63) throw new NotHere();
    component.blocks[at + ZIGZAG[place]] = reader.signed(size) * (1 << how.low);
  }
}

function acAgain(reader, component, at, { ac }, how) {
  const { blocks } = component;
  const more = 1 << how.low;
  const refine = (where) => {
    if (reader.bits(1) && (blocks[where] & more) === 0) blocks[where] += blocks[where] > 0 ? more : -more;
  };
  let place = how.from;
  if (how.run === 0) {
    for (; place <= how.to; place++) {
      const symbol = reader.symbol(ac);
      let zeros = symbol >> 4;
      let value = 0;
      if ((symbol & 15) === 1) value = reader.bits(1) ? more : -more;
      else if (symbol & 15) throw new NotHere();
      else if (zeros < 15) {
        how.run = (1 << zeros) + (zeros ? reader.bits(zeros) : 0);
        break;
      }
      for (; place <= how.to; place++) {
        const where = at + ZIGZAG[place];
        if (blocks[where] !== 0) refine(where);
        else if (--zeros < 0) break;
      }
      if (value && place <= how.to) blocks[at + ZIGZAG[place]] = value;
    }
  }
  if (how.run > 0) {
    for (; place <= how.to; place++) if (blocks[at + ZIGZAG[place]] !== 0) refine(at + ZIGZAG[place]);
    how.run--;
  }
}

/** The bits of a scan, without the bytes that are stuffed into it. */
class Bits {
  #held = 0;
  #count = 0;
  #missing = 0;

  constructor(data, position) {
    this.data = data;
    this.position = position;
  }

  #fill(count) {
    while (this.#count < count) {
      let byte = this.data[this.position];
      if (byte === 0xff && this.data[this.position + 1] !== 0) byte = undefined; // a marker: what is missing is 0
      if (byte === undefined) {
        if (++this.#missing > 8) throw new NotHere();
        byte = 0;
      } else this.position += byte === 0xff ? 2 : 1;
      this.#held = ((this.#held << 8) | byte) & 0xffffff;
      this.#count += 8;
    }
  }

  bits(count) {
    if (count > 16) throw new NotHere();
    this.#fill(count);
    this.#count -= count;
    return (this.#held >> this.#count) & ((1 << count) - 1);
  }

  /** A number of so many bits, of which the lower half are negative. */
  signed(size) {
    if (size === 0) return 0;
    const value = this.bits(size);
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  symbol(table) {
    this.#fill(16);
    const next = (this.#held >> (this.#count - 16)) & 0xffff;
    const found = table.looked[next >> (16 - LOOK)];
    if (found) {
      this.#count -= found >> 8;
      return found & 255;
    }
    for (let length = LOOK + 1; length <= 16; length++) {
      const code = next >> (16 - length);
      if (code <= table.last[length]) {
        this.#count -= length;
        return table.values[table.offset[length] + code];
      }
    }
    throw new NotHere();
  }

  /** Past a restart marker, where a damaged scan could be taken up again. */
  restart() {
    this.#held = this.#count = this.#missing = 0;
    const { data } = this;
    if (data[this.position] !== 0xff || (data[this.position + 1] & 0xf8) !== 0xd0) throw new NotHere();
    this.position += 2;
  }
}

function nextMarker(data, position) {
  for (let at = data.indexOf(0xff, position); at >= 0; at = data.indexOf(0xff, at + 1)) {
    const next = data[at + 1];
    if (next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  return data.length;
}

function smaller({ first, quantizer, height, width }, block) {
  const side = 8 / block;
  const [rows, columns] = [Math.ceil(height / block), Math.ceil(width / block)];
  const values = new Uint8Array(rows * columns);
  const [coefficients, work, result] = [new Int32Array(64), new Int32Array(64), new Int32Array(16)];
  const transform = { 1: toOne, 2: toTwo, 4: toFour }[side];
  for (let blockRow = 0; blockRow < first.rows; blockRow++) {
    for (let blockColumn = 0; blockColumn < first.columns; blockColumn++) {
      const at = (blockRow * first.blocksAcross + blockColumn) * 64;
      for (let place = 0; place < 64; place++) coefficients[place] = first.blocks[at + place] * quantizer[place];
      transform(coefficients, work, result);
      for (let y = 0; y < side; y++) {
        const row = blockRow * side + y;
        if (row >= rows) break;
        for (let x = 0; x < side; x++) {
          const column = blockColumn * side + x;
          if (column < columns) values[row * columns + column] = Math.min(Math.max(result[y * side + x] + 128, 0), 255);
        }
      }
    }
  }
  return { values, height: rows, width: columns };
}

const descaled = (value, bits) => (value + (1 << (bits - 1))) >> bits;

function toOne(input, _, result) {
  result[0] = descaled(input[0], 3);
}

function toTwo(input, work, result) {
  const odd = (at, step, from) =>
    from[at + 7 * step] * -5906 + from[at + 5 * step] * 6967 + from[at + 3 * step] * -10426 + from[at + step] * 29692;
  for (const column of [0, 1, 3, 5, 7]) {
    const [even, rest] = [input[column] << 15, odd(column, 8, input)];
    work[column] = descaled(even + rest, 13);
    work[8 + column] = descaled(even - rest, 13);
  }
  for (let row = 0; row < 2; row++) {
    const [even, rest] = [work[8 * row] << 15, odd(8 * row, 1, work)];
    result[2 * row] = descaled(even + rest, 20);
    result[2 * row + 1] = descaled(even - rest, 20);
  }
}

function toFour(input, work, result) {
  for (let column = 0; column < 8; column++) if (column !== 4) fourOf(input, column, 8, work, column, 8, 12);
  for (let row = 0; row < 4; row++) fourOf(work, 8 * row, 1, result, 4 * row, 1, 19);
}

/** The means of neighbors among eight values, from their coefficients. */
function fourOf(from, at, step, to, start, stride, bits) {
  const dc = from[at] << 14;
  const even = from[at + 2 * step] * 15137 - from[at + 6 * step] * 6270;
  const [seven, five, three, one] = [from[at + 7 * step], from[at + 5 * step], from[at + 3 * step], from[at + step]];
  const inner = seven * -1730 + five * 11893 + three * -17799 + one * 8697;
  const outer = seven * -4176 + five * -4926 + three * 7373 + one * 20995;
  to[start] = descaled(dc + even + outer, bits);
  to[start + 3 * stride] = descaled(dc + even - outer, bits);
  to[start + stride] = descaled(dc - even + inner, bits);
  to[start + 2 * stride] = descaled(dc - even - inner, bits);
}
