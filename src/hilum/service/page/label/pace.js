// How long a film was looked at, and how long what is left will take. Pure: no clock of its own.

const IDLE = 60; // seconds without a hand moved, after which nobody is taken to look any more
const LATELY = 50; // readings that tell the pace

/** Counts the seconds in which somebody looked: gaps without any sign of a reader count for no more than IDLE. */
export class Watch {
  #seconds = 0;
  #last;

  /** @param {number} now in seconds, as every time here */
  constructor(now) {
    this.#last = now;
  }

  /** A sign of the reader. */
  touch(now) {
    this.#seconds += Math.min(Math.max(now - this.#last, 0), IDLE);
    this.#last = now;
  }

  /** What has been counted up to now. */
  seconds(now) {
    this.touch(now);
    return this.#seconds;
  }
}

/** Seconds for so many films at the pace of the latest readings, by their median; null before there are some. */
export function left(count, seconds) {
  const lately = seconds.slice(-LATELY).sort((one, other) => one - other);
  if (lately.length < 3) return null;
  const middle = lately.length >> 1;
  const median = lately.length % 2 ? lately[middle] : (lately[middle - 1] + lately[middle]) / 2;
  return count * median;
}

/** Hours and minutes of a time, rounded as people do: tens of minutes beside hours, none beside many. */
export function parts(seconds) {
  const minutes = Math.max(Math.ceil(seconds / 60), 1);
  if (minutes < 60) return { hours: 0, minutes };
  const tens = Math.round(minutes / 10);
  return tens >= 60 ? { hours: Math.round(tens / 6), minutes: 0 } : { hours: Math.floor(tens / 6), minutes: 10 * (tens % 6) };
}
