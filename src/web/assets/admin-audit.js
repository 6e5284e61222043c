/** Who looked into what, and what was done to whom, newest first. */

import { call, query } from './admin-api.js';
import { h } from './dom.js';

const PAGE = 100;

export function auditView({ onfail }) {
  let before;
  const body = h('tbody', { data: { testid: 'deeds' } });
  const status = h('p', { class: 'admin-hint', role: 'status' });
  const more = h('button', { class: 'button', type: 'button', hidden: true, on: { click: () => load().catch(onfail) } }, 'More');
  const columns = ['Time', 'Action', 'Whom or what', 'By', 'From'];
  const element = h('section', { class: 'list' },
    h('div', { class: 'table-frame', tabIndex: 0, role: 'region', 'aria-label': 'Audit log' }, h('table', {}, h('thead', {}, h('tr', {}, ...columns.map((name) => h('th', { scope: 'col' }, name)))), body)),
    status, more);

  async function load() {
    const { entries, pagination } = await call('GET', `/audit${query({ before, limit: PAGE })}`);
    body.append(...entries.map(({ time, action, subject, by, address }) => h('tr', {},
      h('td', {}, h('time', { dateTime: time }, new Date(time).toLocaleString('en-IN'))), h('td', {}, action),
      h('td', {}, action === 'conversation.read' ? h('a', { href: `#chats/${subject}` }, subject) : subject), h('td', {}, by ?? ''), h('td', {}, address ?? ''))));
    before = pagination.next;
    more.hidden = !pagination.hasMore;
    status.textContent = body.children.length === 0 ? 'Nothing has been written down yet.' : '';
  }

  load().catch(onfail);
  return { element };
}
