/** Questions, pictures in full size, settings, and short notices. Native `<dialog>`, so focus and Escape behave as expected. */

import { h, icon } from './dom.js';
import { LANGUAGES, THEMES, chooseLanguage, chooseTheme, fixed, language, t, theme } from './language.js';

const NOTICE_MS = 6_000;
let titles = 0;

/** @returns {Promise<boolean>} whether the person agreed */
export function confirm({ title, text, action }) {
  return new Promise((resolve) => {
    const dialog = titled(title, { on: { close: () => resolve(dialog.returnValue === 'yes') } },
      h('p', {}, text),
      h('div', { class: 'dialog-actions' },
        h('button', { class: 'button', value: 'no' }, t('dialog.cancel')),
        h('button', { class: 'button button-strong', value: 'yes', data: { testid: 'confirm' } }, action)));
    show(dialog);
  });
}

/**
 * Pictures in full size, from one to the next.
 * @param {{url: string, words: string, about: string}[]} pictures @param {number} index the one to begin with
 */
export function showPictures(pictures, index) {
  let shown = index;
  const picture = h('img', { class: 'viewer-picture', alt: '', data: { testid: 'viewer-picture' } });
  const words = h('p', { class: 'viewer-words', dir: 'auto' });
  const about = h('p', { class: 'viewer-about' });
  const step = (by) => {
    shown = Math.min(pictures.length - 1, Math.max(0, shown + by));
    draw();
  };
  const button = (name, label, onclick) => h('button', { class: 'icon-button', type: 'button', 'aria-label': t(label), title: t(label), data: { testid: label }, on: { click: onclick } }, icon(name));
  const previous = button('back', 'viewer.previous', () => step(-1));
  const next = button('forward', 'viewer.next', () => step(1));
  const original = h('a', { class: 'icon-button', target: '_blank', rel: 'noopener', 'aria-label': t('viewer.original'), title: t('viewer.original') }, icon('open'));
  const close = button('close', 'viewer.close', () => dialog.close());
  const stage = h('div', { class: 'viewer-stage' }, picture);
  const dialog = h('dialog', { class: 'viewer', 'aria-label': t('message.picture'), data: { testid: 'viewer' } },
    h('header', { class: 'viewer-bar' }, h('div', { class: 'viewer-text' }, words, about), previous, next, original, close),
    stage);

  function draw() {
    const { url, words: caption, about: from } = pictures[shown];
    dialog.classList.remove('is-zoomed');
    picture.src = url;
    picture.alt = caption || t('message.picture');
    words.textContent = caption;
    about.textContent = from;
    original.href = url;
    previous.disabled = shown === 0;
    next.disabled = shown === pictures.length - 1;
  }

  picture.addEventListener('click', () => dialog.classList.toggle('is-zoomed'));
  stage.addEventListener('click', (event) => event.target === stage && dialog.close());
  dialog.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowLeft') step(-1);
    if (key === 'ArrowRight') step(1);
  });
  draw();
  show(dialog);
  close.focus();
}

/** Language, theme, what the keys do, and what else a page has to offer. @param {...Node} more */
export function showSettings(...more) {
  const choice = (name, value, label, isChosen, onchoose) => h('label', { class: 'choice' },
    h('input', { type: 'radio', name, value, checked: isChosen, data: { testid: `${name}-${value}` }, on: { change: () => onchoose(value) } }),
    h('span', { lang: name === 'language' ? value : language }, label));
  const group = (key, ...choices) => h('fieldset', { class: 'choices' }, h('legend', {}, t(key)), h('div', { class: 'choice-row' }, ...choices));
  const key = (keys, label) => [h('dt', {}, ...keys.map((one) => h('kbd', {}, one))), h('dd', {}, t(label))];
  show(titled(t('settings.title'), { data: { testid: 'settings-dialog' } },
    !fixed && group('settings.language', ...Object.entries(LANGUAGES).map(([code, name]) => choice('language', code, name, code === language, chooseLanguage))),
    group('settings.theme', ...THEMES.map((name) => choice('theme', name, t(`settings.${name}`), name === theme(), chooseTheme))),
    ...more,
    h('section', { class: 'only-wide' },
      h('h3', {}, t('settings.keys')),
      h('dl', { class: 'keys' },
        ...key(['/'], 'settings.keySearch'), ...key(['↑', '↓'], 'settings.keyMessages'), ...key(['R'], 'settings.keyReply'),
        ...key(['Delete'], 'settings.keyDelete'), ...key(['Shift', 'Enter'], 'settings.keyLine'))),
    h('div', { class: 'dialog-actions' }, h('button', { class: 'button', value: 'close', autofocus: true }, t('dialog.close')))));
}

/** A notice that goes away by itself; screen readers hear it at once. @param {'fault'|'good'} kind */
export function notify(message, kind = 'fault') {
  let stack = document.querySelector('.notices');
  if (!stack) document.body.append((stack = h('div', { class: 'notices', role: 'alert' })));
  const notice = h('p', { class: `notice is-${kind}`, data: { testid: 'notice' } }, message);
  stack.append(notice);
  setTimeout(() => notice.remove(), NOTICE_MS);
}

export function titled(title, properties, ...content) {
  const id = `dialog-title-${(titles += 1)}`;
  return h('dialog', { class: 'dialog', 'aria-labelledby': id, ...properties }, h('form', { method: 'dialog' }, h('h2', { id }, title), ...content));
}

export function show(dialog) {
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
