/** A button that opens a short list of things to do. Native popover, so Escape and a click elsewhere close it. Knows nothing of what they do. */

import { h, icon } from './dom.js';

/** Kept free between the list and the edge of the window. */
const MARGIN_PX = 8;
let menus = 0;

/** @param {string} label @param {string} testid @param {{icon: string, label: string, testid: string, onchoose: () => void}[]} choices */
export function menuButton(label, testid, choices) {
  const id = `menu-${(menus += 1)}`;
  const items = choices.map((choice) => h('button', { class: 'menu-item', type: 'button', role: 'menuitem', tabIndex: -1, data: { testid: choice.testid }, on: { click: () => choose(choice) } }, icon(choice.icon), choice.label));
  const menu = h('div', { class: 'menu', id, popover: 'auto', role: 'menu', 'aria-label': label }, ...items);
  const button = h('button', { class: 'icon-button', type: 'button', 'aria-label': label, title: label, 'aria-haspopup': 'menu', 'aria-expanded': 'false', data: { testid }, on: { click: open } }, icon('more'));

  function open() {
    menu.showPopover();
    const at = button.getBoundingClientRect();
    menu.style.top = `${Math.min(at.bottom, innerHeight - menu.offsetHeight - MARGIN_PX)}px`;
    menu.style.left = `${Math.max(MARGIN_PX, at.right - menu.offsetWidth)}px`;
    items[0].focus();
  }

  function choose(choice) {
    // The focus goes back first, so that a dialog which opens now gives it back to the button.
    menu.hidePopover();
    button.focus();
    choice.onchoose();
  }

  menu.addEventListener('toggle', ({ newState }) => button.setAttribute('aria-expanded', String(newState === 'open')));
  menu.addEventListener('keydown', (event) => {
    const at = items.indexOf(document.activeElement);
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === 'Tab') menu.hidePopover();
    if (goal === undefined) return;
    event.preventDefault();
    items[goal % items.length].focus();
  });
  return h('span', { class: 'menu-frame' }, button, menu);
}
