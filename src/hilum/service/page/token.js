// The token of a service that asks for one.

import { the } from "./dom.js";

/** @type {Promise<string> | null} */
let token = null;

/** Ask for the token, again where the one that was given is wrong; it stays in this window's memory. */
export function askToken(again = false) {
  token ??= new Promise((resolve) => {
    the("token-wrong").hidden = !again;
    the("ask-token").showModal();
    the("ask-token").addEventListener("cancel", (event) => event.preventDefault());
    the("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      the("ask-token").close();
      token = null;
      resolve(the("token").value.trim());
      the("token").value = "";
    }, { once: true });
  });
  return token;
}
