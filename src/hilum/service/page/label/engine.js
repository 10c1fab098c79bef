// The calls to a reading room, on top of those to any service of hilum's.

import { pixelsOf, predictionOf } from "../engine-http.js";

export class RoomEngine {
  /** @param {import("../engine-http.js").HttpEngine} http */
  constructor(http) {
    this.http = http;
    this.reader = null;
  }

  async readers() {
    return (await (await this.http.ask("v1/readers")).json()).readers;
  }

  async list() {
    return (await this.#ask("v1/list")).json();
  }

  async card() {
    return (await this.#ask("v1/model")).json();
  }

  /** What a film begins with: boxes, others' readings. */
  async about(place) {
    return (await this.#ask(`v1/films/${place}`)).json();
  }

  async pixels(place, longest) {
    return pixelsOf(await this.#ask(`v1/films/${place}/pixels?longest=${longest}`));
  }

  async answer(place) {
    return predictionOf(await this.#ask(`v1/films/${place}/answer`));
  }

  /** Give a reading; it is kept when this returns. */
  async give(place, said) {
    const body = JSON.stringify(said);
    return (await this.#ask(`v1/films/${place}/reading`, { method: "POST", body })).json();
  }

  #ask(path, how = {}) {
    const reader = encodeURIComponent(this.reader ?? "");
    return this.http.ask(path, (headers) => fetch(path, { ...how, headers: { ...headers, "Hilum-Reader": reader } }));
  }
}
