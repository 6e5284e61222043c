/** A list that is fetched page by page: whose turn it is, the button for more, and the words under it. Knows no route and no row. */

import { h } from './dom.js';

/**
 * @param {{into: Element, load: (next: any) => Promise<{rows: Element[], next: any}>, nothing: string, onfail: (error: Error) => void, testid: string}} options
 * `next` is nothing for the first page, and comes back as nothing with the last
 */
export function pages({ into, load, nothing, onfail, testid }) {
  let turn = 0;
  let next;
  const status = h('p', { class: 'admin-hint', role: 'status', data: { testid: `${testid}-status` } });
  const more = h('button', { class: 'button', type: 'button', hidden: true, data: { testid: 'more' }, on: { click: () => fetchMore() } }, 'More');

  async function fetchMore() {
    const mine = turn;
    more.disabled = true;
    try {
      const { rows, next: following } = await load(next);
      if (mine !== turn) return;
      next = following ?? undefined;
      into.append(...rows);
      more.hidden = next === undefined;
      status.textContent = into.children.length > 0 ? `${into.children.length} shown` : `${nothing}${more.hidden ? '' : ' so far'}.`;
    } catch (error) {
      if (mine !== turn) return;
      status.textContent = error.message;
      onfail(error);
    } finally {
      // One that was overtaken leaves the button to the other.
      if (mine === turn) more.disabled = false;
    }
  }

  return {
    status,
    more,
    /** Begins anew, with the first page. */
    restart() {
      turn += 1;
      next = undefined;
      into.replaceChildren();
      more.hidden = true;
      status.textContent = 'Loading…';
      return fetchMore();
    },
    leave: () => (turn += 1),
  };
}

/** A table that becomes a list of cards where there is no room for columns: each cell knows the name of its own. */
export function table({ label, columns, testid }) {
  const body = h('tbody', { data: { testid } });
  const element = h('div', { class: 'table-frame', tabIndex: 0, role: 'region', 'aria-label': label },
    h('table', {}, h('thead', {}, h('tr', {}, ...columns.map((name) => h('th', { scope: 'col' }, name)))), body));
  return {
    element,
    body,
    /** @param {(Element|string)[]} cells one a column; a `th` heads its row */
    cells: (cells) => cells.map((cell, index) => (cell.tagName === 'TH' ? cell : h('td', { data: { label: columns[index] } }, cell))),
  };
}
