// Everything the page says, from one file a language.

import { percent } from "./decide.js";
import { all } from "./dom.js";

const LANGUAGES = ["en", "de"];
let words = {};
let plural = new Intl.PluralRules("en");

/** What the browser asks for, if we speak it. */
export function preferred() {
  return navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Speak a language from now on, and say again what stands on the page already. */
export async function speak(language) {
  words = await (await fetch(`page/words/${language}.json`)).json();
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
  for (const element of all("[data-words]")) element.textContent = t(element.dataset.words);
  for (const element of all("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
    if (element.matches("button, select, input")) element.title = t(element.dataset.label);
  }
  for (const button of all("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

/** The words of a key, with values in their places; of several forms the one that fits `values.count`. */
export function t(key, values = {}) {
  const found = look(key);
  const form = typeof found === "object" ? (values.count === 0 && found.none) || found[plural.select(values.count)] : found;
  return String(form ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** The words of a key if there are any. */
export function known(key) {
  return typeof look(key) === "string" ? t(key) : null;
}

/** A percentage as the language writes it. */
export function share(probability) {
  const text = percent(probability);
  return document.documentElement.lang === "de" ? text.replace("%", "\u00a0%") : text;
}

/** What a model calls something, for people. */
export function called(kind, name) {
  return known(`${kind}.${name}`) ?? name.replaceAll("_", " ");
}

/** Why a film has no answer: in the user's language, or as the server put it. */
export function because(reason, detail) {
  if (document.documentElement.lang === "en" && detail) return sentence(detail);
  return known(`reason.${reason}`) ?? (sentence(detail) || t("reason.other"));
}

function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

function look(key) {
  return key.split(".").reduce((found, name) => found?.[name], words);
}
