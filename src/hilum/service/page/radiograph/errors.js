// The one kind of error that a film's content can cause, with the reasons of hilum.Reason.

export class ReadError extends Error {
  constructor(reason, detail) {
    super(reason);
    this.reason = reason;
    this.detail = detail;
  }
}

export const truncated = (kind) => new ReadError("truncated_pixel_data", `the ${kind} ends before its picture does; copy the file again`);
export const damaged = (kind) => new ReadError("damaged", `the ${kind} cannot be decoded; get the file again from its source`);
