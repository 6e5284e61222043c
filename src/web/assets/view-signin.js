/** The first screen without a demo: a token is asked for; and the screen that asks for another one. */

import { showSettings } from './dialogs.js';
import { h, icon } from './dom.js';
import { t } from './language.js';
import { personOf } from './session.js';

/** @param {{fault?: string, onsign: (token: string) => void}} options why it is asked, and what to do with what is given */
export function signInView({ fault: reason = '', onsign }) {
  const input = h('textarea', { id: 'token', rows: 4, spellcheck: false, autocomplete: 'off', required: true, 'aria-describedby': 'token-fault', data: { testid: 'token' } });
  const fault = h('p', { id: 'token-fault', class: 'fault', role: 'alert' }, reason);
  const form = h('form', { class: 'signin' },
    h('label', { htmlFor: 'token' }, t('signin.label')), input, fault,
    h('button', { class: 'button button-strong', type: 'submit', data: { testid: 'sign-in' } }, t('signin.action')));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const token = input.value.trim().replace(/^Bearer /i, '');
    fault.textContent = personOf(token) ? '' : t('signin.wrong');
    if (fault.textContent) return;
    onsign(token);
  });
  return h('main', { class: 'people' },
    h('header', { class: 'people-head' },
      h('div', { class: 'brand-row' }, h('p', { class: 'brand' }, icon('paw'), t('app.title')), settingsButton()),
      h('h1', {}, t('signin.title')), h('p', {}, t('signin.text'))),
    form);
}

export function settingsButton() {
  return h('button', { class: 'icon-button', type: 'button', 'aria-label': t('settings.title'), title: t('settings.title'), data: { testid: 'settings' }, on: { click: () => showSettings() } }, icon('settings'));
}
