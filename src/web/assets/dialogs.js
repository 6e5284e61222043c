/** Questions, pictures in full size, and short notices. Native `<dialog>`, so focus and Escape behave as expected. */

import { h, icon } from './dom.js';

const NOTICE_MS = 6_000;

/** @returns {Promise<boolean>} whether the person agreed */
export function confirm({ title, text, action }) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: 'dialog', on: { close: () => resolve(dialog.returnValue === 'yes') } },
      h('form', { method: 'dialog' },
        h('h2', {}, title),
        h('p', {}, text),
        h('div', { class: 'dialog-actions' },
          h('button', { class: 'button', value: 'no' }, 'Cancel'),
          h('button', { class: 'button button-strong', value: 'yes', data: { testid: 'confirm' } }, action))));
    show(dialog);
  });
}

/** @param {string} url @param {string} description */
export function showPicture(url, description) {
  const dialog = h('dialog', { class: 'lightbox', 'aria-label': description, on: { click: () => dialog.close() } },
    h('img', { src: url, alt: description }),
    h('button', { class: 'icon-button lightbox-close', 'aria-label': 'Close picture', autofocus: true }, icon('close')));
  show(dialog);
}

/** A notice that goes away by itself; screen readers hear it at once. */
export function notify(message) {
  let stack = document.querySelector('.notices');
  if (!stack) document.body.append((stack = h('div', { class: 'notices', role: 'alert' })));
  const notice = h('p', { class: 'notice', data: { testid: 'notice' } }, message);
  stack.append(notice);
  setTimeout(() => notice.remove(), NOTICE_MS);
}

function show(dialog) {
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
