/** The little markup of the descriptions: paragraphs, `code` and **strong**. Everything goes in as text nodes. */

import { h } from '../dom.js';

/** One line of it. */
export function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith('`')) return h('code', {}, part.slice(1, -1));
    if (part.startsWith('**')) return h('strong', {}, part.slice(2, -2));
    return document.createTextNode(part);
  });
}

/** Paragraphs of it. */
export function prose(text) {
  const paragraphs = (text ?? '').trim().split(/\n\s*\n/).filter(Boolean);
  return h('div', { class: 'prose' }, ...paragraphs.map((paragraph) => h('p', {}, ...inline(paragraph))));
}

/** A piece of code that can be copied. */
export function sample(text, label) {
  const button = h('button', { class: 'button', type: 'button', 'aria-label': `Copy ${label}` }, 'Copy');
  button.addEventListener('click', async () => {
    // Without https there may be no clipboard; then the text is at least selected.
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
    }
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
  const code = h('code', {}, text);
  return h('div', { class: 'sample' }, h('pre', { tabIndex: 0 }, code), button);
}

/** JSON as it is written down. */
export const json = (value) => JSON.stringify(value, null, 2);
