/** Who looked into what, and what was done to whom, newest first. */

import { call, query } from './admin-api.js';
import { h } from './dom.js';
import { pages, table } from './pages.js';

const PAGE = 100;

export function auditView({ onfail }) {
  const grid = table({ label: 'Audit log', columns: ['Time', 'Action', 'Whom or what', 'By', 'From'], testid: 'deeds' });
  const list = pages({
    into: grid.body, onfail,
    nothing: 'Nothing has been written down',
    testid: 'audit',
    load: async (before) => {
      const { entries, pagination } = await call('GET', `/audit${query({ before, limit: PAGE })}`);
      return { rows: entries.map((entry) => h('tr', {}, ...grid.cells(deed(entry)))), next: pagination.next };
    },
  });
  list.restart();
  return { element: h('section', { class: 'list' }, grid.element, list.status, list.more), leave: list.leave };
}

function deed({ time, action, subject, by, address }) {
  return [
    h('time', { dateTime: time }, new Date(time).toLocaleString('en-IN')), action,
    action === 'conversation.read' ? h('a', { href: `#chats/${subject}` }, subject) : subject, by ?? '', address ?? '',
  ];
}
