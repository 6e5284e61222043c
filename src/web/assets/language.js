/** Which language and which theme this person has chosen, remembered in the browser; and the words in that language. */

import english from './strings-en.js';
import hindi from './strings-hi.js';

const TABLES = { en: english, hi: hindi };
export const LANGUAGES = { en: 'English', hi: 'हिन्दी' };
export const THEMES = ['auto', 'light', 'dark'];

/** The language of a page that has but one, as its HTML says. */
export const fixed = globalThis.document?.documentElement.dataset.language;
/** The page's own, else the chosen one, else the first one of the browser's that there is, else English. */
export const language = pick(fixed ?? remembered('language') ?? (globalThis.document ? navigator.languages : []));
/** For dates and prices. */
export const locale = `${language}-IN`;

const plurals = new Intl.PluralRules(locale);

/** The text under a key, with `{names}` filled in; `count` also chooses between `one` and `other`. */
export function t(key, values = {}) {
  const entry = TABLES[language][key] ?? english[key];
  const text = typeof entry === 'string' ? entry : (entry[plurals.select(values.count)] ?? entry.other);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Takes effect at once, everywhere: the page is drawn anew. */
export function chooseLanguage(chosen) {
  remember('language', chosen);
  location.reload();
}

export function theme() {
  return THEMES.includes(remembered('theme')) ? remembered('theme') : 'auto';
}

export function chooseTheme(chosen) {
  remember('theme', chosen);
  document.documentElement.dataset.theme = chosen;
}

/** Called once by each page. */
export function applyChoices() {
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme();
}

function pick(wanted) {
  const short = [wanted].flat().map((one) => one.slice(0, 2));
  return short.find((one) => one in TABLES) ?? 'en';
}

/** A browser may forbid storage; then a choice lasts as long as the page. */
function remembered(name) {
  try {
    return globalThis.document && localStorage.getItem(`jivchat-${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`jivchat-${name}`, value);
  } catch {
    // See above.
  }
}
