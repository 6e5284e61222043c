/** The admin page: asks for the key, follows the address bar, and puts the views together. */

import { AdminError, call, signIn, signOut, signedInAs } from './admin-api.js';
import { auditView } from './admin-audit.js';
import { conversationView } from './admin-conversation.js';
import { figuresView } from './admin-figures.js';
import { chatsView, petsView, usersView } from './admin-lists.js';
import { reportsView } from './admin-reports.js';
import { suspectsView } from './admin-suspects.js';
import { showSettings } from './dialogs.js';
import { h, icon } from './dom.js';
import { applyChoices } from './language.js';

const VIEWS = {
  figures: ['Overview', figuresView],
  users: ['Users', usersView],
  pets: ['Pets', petsView],
  chats: ['Chats', chatsView],
  reports: ['Reports', reportsView],
  suspects: ['Suspects', suspectsView],
  audit: ['Audit log', auditView],
};
const root = document.getElementById('app');
/** Ends what the view before had running. */
let leave = () => {};

applyChoices();
addEventListener('hashchange', show);
show();

function show() {
  leave();
  leave = () => {};
  if (!signedInAs()) {
    root.replaceChildren(keyView());
    return;
  }
  const [name = '', ...rest] = location.hash.slice(1).split('/').map(decoded);
  const chosen = Object.hasOwn(VIEWS, name) ? name : 'figures';
  const [title, build] = chosen === 'chats' && rest[0] ? ['Conversation', conversationView] : VIEWS[chosen];
  const heading = h('h1', { tabIndex: -1 }, title);
  const content = h('div', { class: 'admin-content' });
  root.replaceChildren(h('div', { class: 'admin' }, menu(chosen), h('main', { class: 'admin-main' }, heading, content)));
  document.title = `${title} · jivchat admin`;
  const view = build({ id: rest[0], onfail: (error) => fail(content, error) });
  leave = view.leave ?? leave;
  content.replaceChildren(view.element);
}

/** An address can be anything; what cannot be decoded names nothing. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

function menu(chosen) {
  const link = ([name, [title]]) => h('a', { href: `#${name}`, data: { testid: `nav-${name}` }, ...(name === chosen && { 'aria-current': 'page' }) }, title);
  return h('header', { class: 'admin-head' },
    h('p', { class: 'brand' }, icon('paw'), 'jivchat admin'),
    h('nav', { 'aria-label': 'Main' }, ...Object.entries(VIEWS).map(link)),
    h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Settings', title: 'Settings', on: { click: () => showSettings() } }, icon('settings')),
    h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Sign out', title: 'Sign out', data: { testid: 'sign-out' }, on: { click: () => { signOut(); show(); } } }, icon('out')));
}

/** A key that is no longer good leads back to where one is asked for. */
function fail(content, error) {
  if (error.status === 401) {
    signOut();
    show();
    return;
  }
  content.querySelector('.admin-fault')?.remove();
  content.prepend(h('p', { class: 'notice admin-fault', role: 'alert', data: { testid: 'fault' } }, error.message, h('button', { class: 'link-button', type: 'button', on: { click: show } }, 'Try again')));
}

function keyView() {
  const key = h('input', { id: 'key', type: 'password', autocomplete: 'off', required: true, autofocus: true, data: { testid: 'key' } });
  const name = h('input', { id: 'name', type: 'text', autocomplete: 'off', maxLength: 64, data: { testid: 'name' } });
  const fault = h('p', { class: 'fault', role: 'alert', data: { testid: 'key-fault' } });
  const form = h('form', { class: 'key-form' },
    h('p', { class: 'brand' }, icon('paw'), 'jivchat admin'),
    h('h1', {}, 'Admin key'),
    h('p', {}, 'The key that the server was started with. It stays in this tab until it is closed.'),
    h('label', { htmlFor: 'key' }, 'Key'), key,
    h('label', { htmlFor: 'name' }, 'Your name, for the audit log'), name,
    fault, h('button', { class: 'button button-strong', type: 'submit', data: { testid: 'enter' } }, 'Enter'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    signIn(key.value.trim(), name.value.trim());
    try {
      await call('GET', '/stats?live=true');
      show();
    } catch (error) {
      signOut();
      fault.textContent = error instanceof AdminError && error.status === 401 ? 'This is not the key of this server.' : error.message;
      key.focus();
    }
  });
  return h('main', { class: 'key-page' }, form);
}
