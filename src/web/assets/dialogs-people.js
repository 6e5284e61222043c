/** What can be done about a person: reporting them to the marketplace, and the list of those who are blocked. */

import { show, titled } from './dialogs.js';
import { avatar, fill, h } from './dom.js';
import { t } from './language.js';

const REASONS = ['spam', 'fraud', 'abuse', 'animal_welfare', 'other'];
/** The server's limit, in UTF-16 units, which is what `maxLength` counts. */
const LONGEST = 1000;

/**
 * @param {{title: string, name: string, canBlock: boolean}} about
 * @returns {Promise<{reason: string, text: string, blocks: boolean}|undefined>} nothing if the person thought better of it
 */
export function askReport({ title, name, canBlock }) {
  return new Promise((resolve) => {
    const reasons = REASONS.map((reason) => h('label', { class: 'option' },
      h('input', { type: 'radio', name: 'reason', value: reason, required: true, data: { testid: `reason-${reason}` } }),
      h('span', {}, t(`report.${reason}`))));
    const text = h('textarea', { rows: 3, maxLength: LONGEST, dir: 'auto', data: { testid: 'report-text' } });
    const block = h('input', { type: 'checkbox', data: { testid: 'report-block' } });
    const answer = () => ({ reason: dialog.querySelector('input[name=reason]:checked')?.value, text: text.value.trim(), blocks: block.checked });
    const dialog = titled(title, { data: { testid: 'report-dialog' }, on: { close: () => resolve(dialog.returnValue === 'yes' ? answer() : undefined) } },
      h('p', {}, t('report.explained', { name })),
      h('fieldset', { class: 'options' }, h('legend', {}, t('report.why')), ...reasons),
      h('label', { class: 'field' }, h('span', {}, t('report.more')), text),
      canBlock && h('label', { class: 'option' }, block, h('span', {}, t('report.alsoBlock', { name }))),
      h('div', { class: 'dialog-actions' },
        h('button', { class: 'button', value: 'no', formNoValidate: true }, t('dialog.cancel')),
        h('button', { class: 'button button-strong', value: 'yes', data: { testid: 'report-send' } }, t('report.send'))));
    show(dialog);
  });
}

/** Everybody this person has blocked. Draws itself anew whenever the model changes, until it is closed. */
export function showBlocked(model, client) {
  const list = h('ul', { class: 'blocked-list', 'aria-live': 'polite' });
  const row = (person) => h('li', {},
    avatar(person, 40),
    h('span', { class: 'blocked-name' }, person.name),
    h('button', { class: 'button', type: 'button', 'aria-label': t('block.unblock', { name: person.name }), data: { testid: `unblock-${person._id}` }, on: { click: () => client.setUserBlocked(person._id, false) } }, t('block.unblockShort')));
  const draw = () => {
    const people = model.blockedUsers ?? [];
    const description = model.blockedUsers ? JSON.stringify(people) : 'loading';
    fill(list, description, () => (people.length > 0 ? people.map(row) : h('li', { class: 'blocked-none' }, t(model.blockedUsers ? 'blocked.none' : 'blocked.loading'))));
  };
  const dialog = titled(t('blocked.title'), { data: { testid: 'blocked-dialog' }, on: { close: () => model.removeEventListener('change', draw) } },
    h('p', {}, t('blocked.text')), list,
    h('div', { class: 'dialog-actions' }, h('button', { class: 'button', value: 'close', autofocus: true }, t('dialog.close'))));
  model.addEventListener('change', draw);
  draw();
  client.loadBlockedUsers();
  show(dialog);
}
