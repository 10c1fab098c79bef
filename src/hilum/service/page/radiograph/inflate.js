// Inflating by the platform's own zlib, with a bound on what comes out.

/**
 * The first `size` bytes that compressed pieces hold; null if they end before. Throws whatever the platform does where
 * they are damaged. What follows is not looked at.
 */
export async function inflated(pieces, size) {
  const whole = new Uint8Array(size);
  let filled = 0;
  let ended = false;
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const writing = (async () => {
    for (const piece of pieces) await writer.write(piece);
    ended = true;
    await writer.close();
  })();
  writing.catch(() => {}); // it is the reader who hears of it
  const reader = stream.readable.getReader();
  try {
    while (filled < size) {
      const { done, value } = await reader.read();
      if (done) return null;
      const taken = value.subarray(0, size - filled);
      whole.set(taken, filled);
      filled += taken.length;
    }
  } catch (error) {
    if (ended) return null; // all was taken before it was missed
    throw error;
  } finally {
    reader.cancel().catch(() => {});
    writer.abort().catch(() => {});
  }
  return whole;
}
