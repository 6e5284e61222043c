/** What people have reported: a list by state, each with the copy of what had been said, and the judging of it. */

import { call, path, query } from './admin-api.js';
import { guarded } from './admin-lists.js';
import { h } from './dom.js';
import { clock, day } from './format.js';
import { pages } from './pages.js';

const PAGE = 50;
const STATES = { open: 'Open', resolved: 'Resolved', dismissed: 'Dismissed', '': 'All' };
const REASONS = { spam: 'Spam', fraud: 'Fraud', abuse: 'Abuse', animal_welfare: 'Animal welfare', other: 'Other' };

export function reportsView({ onfail }) {
  let wanted = 'open';
  const attempt = guarded(onfail);
  const cards = h('ol', { class: 'reports', data: { testid: 'reports' } });
  const list = pages({
    into: cards, onfail,
    nothing: 'Nothing here',
    testid: 'reports',
    load: async (cursor) => {
      const { reports, pagination } = await call('GET', `/reports${query({ status: wanted, cursor, limit: PAGE })}`);
      return { rows: reports.map(card), next: pagination.next };
    },
  });
  const choices = Object.entries(STATES).map(([name, label]) => h('label', { class: 'choice' },
    h('input', { type: 'radio', name: 'state', value: name, checked: name === wanted, data: { testid: `reports-${name || 'all'}` }, on: { change: () => choose(name) } }),
    h('span', {}, label)));
  const element = h('section', { class: 'list' }, h('fieldset', { class: 'choices' }, h('legend', {}, 'Show'), h('div', { class: 'choice-row' }, ...choices)), cards, list.status, list.more);

  function choose(name) {
    wanted = name;
    list.restart();
  }

  function card(report) {
    const row = h('li', { class: 'card', data: { testid: `report-${report._id}` } });
    const draw = (changed) => row.replaceChildren(...face(changed, draw));
    draw(report);
    return row;
  }

  function face(report, draw) {
    const { _id: id, reason, status: state, createdAt, reportedBy, reportedUser, chatId, text, note, evidence } = report;
    const person = (user) => h('a', { href: `#users/${encodeURIComponent(user)}` }, user);
    const field = h('input', { type: 'text', value: note ?? '', maxLength: 1000, placeholder: 'A note for the others who judge', 'aria-label': 'Note', data: { testid: 'note' } });
    const judge = (to, label) => state !== to && h('button', { class: 'button', type: 'button', data: { testid: `mark-${to}` }, on: { click: attempt(async () => draw(await call('PUT', path('reports', id), { status: to, note: field.value }))) } }, label);
    return [
      h('p', { class: 'talk-by' }, h('b', {}, REASONS[reason] ?? reason), h('span', { class: `tag ${state === 'open' ? 'tag-bad' : 'tag-good'}`, data: { testid: 'report-state' } }, STATES[state] ?? state), h('time', { dateTime: createdAt }, `${day(createdAt)}, ${clock(createdAt)}`)),
      h('p', {}, person(reportedBy), ' about ', person(reportedUser), chatId && ' in ', chatId && h('a', { href: `#chats/${chatId}` }, 'their chat')),
      text && h('p', { class: 'talk-words', dir: 'auto' }, text),
      evidence
        ? h('ol', { class: 'talk', data: { testid: 'evidence' } }, ...evidence.map(said))
        : h('button', { class: 'button', type: 'button', data: { testid: 'show-evidence' }, on: { click: attempt(async () => draw(await call('GET', path('reports', id)))) } }, 'What had been said'),
      h('div', { class: 'judge' }, field, judge('resolved', 'Resolve'), judge('dismissed', 'Dismiss'), judge('open', 'Open again')),
    ].filter(Boolean);
  }

  list.restart();
  return { element, leave: list.leave };
}

function said({ sender, createdAt, content, isDeleted, media }) {
  return h('li', { class: isDeleted ? 'is-deleted' : '' },
    h('p', { class: 'talk-by' }, h('b', {}, sender), h('time', { dateTime: createdAt }, `${day(createdAt)}, ${clock(createdAt)}`), isDeleted && h('span', {}, 'deleted')),
    h('p', { class: 'talk-words', dir: 'auto' }, content),
    media && h('p', { class: 'admin-hint' }, `${media.mimeType}, ${media.size} bytes`));
}
