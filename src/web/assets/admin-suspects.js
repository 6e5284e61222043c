/** Who was refused for what looks like a flood: the last hundred since the start. */

import { call } from './admin-api.js';
import { h } from './dom.js';
import { pages, table } from './pages.js';

const REFUSED = { newChats: 'opening too many chats', duplicateMessages: 'the same words in many chats' };

export function suspectsView({ onfail }) {
  const grid = table({ label: 'Suspects', columns: ['User', 'Refused for', 'Times', 'Last'], testid: 'suspects' });
  const list = pages({
    into: grid.body, onfail,
    nothing: 'Nobody has been refused for a flood since the start',
    testid: 'suspects',
    load: async () => {
      const { suspects } = await call('GET', '/suspects');
      return { rows: suspects.map((suspect) => h('tr', {}, ...grid.cells(row(suspect)))) };
    },
  });
  list.restart();
  return { element: h('section', { class: 'list' }, grid.element, list.status, list.more), leave: list.leave };
}

function row({ userId, refused, times, lastAt }) {
  return [
    h('th', { scope: 'row' }, h('a', { href: `#users/${encodeURIComponent(userId)}` }, userId)), REFUSED[refused] ?? refused, String(times),
    h('time', { dateTime: lastAt }, new Date(lastAt).toLocaleString('en-IN')),
  ];
}
