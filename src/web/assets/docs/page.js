/**
 * The page of the documentation: reads both descriptions and shows them with a list of contents and a filter. `/` goes to the filter,
 * Escape empties it; everything else is links and folds that every browser knows how to work by keyboard.
 */

import { h } from '../dom.js';
import { events } from './events.js';
import { operations } from './rest.js';
import { fieldsOf, thingId } from './schema.js';
import { inline, prose } from './text.js';

const read = async (path) => {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
};

/** Chapters of the page: `{ id, title, text, entries }`. */
function chapters(openapi, asyncapi) {
  const routes = operations(openapi);
  const live = events(asyncapi);
  const things = Object.entries(openapi.components.schemas).map(([name, schema]) => ({
    id: thingId(name),
    title: name,
    words: `${name} ${schema.description ?? ''} ${Object.keys(schema.properties ?? {}).join(' ')}`.toLowerCase(),
    element: thing(name, schema),
  }));
  return [
    ...openapi.tags.map(({ name, description }) => ({ id: `rest-${name.replaceAll(' ', '-')}`, title: name, text: description, entries: routes.filter(({ tag }) => tag === name) })),
    { id: 'emitted', title: 'Events to emit', text: asyncapi.info.description, entries: live.filter(({ isHeard }) => !isHeard) },
    { id: 'heard', title: 'Events to hear', text: 'What the server emits, and to whom.', entries: live.filter(({ isHeard }) => isHeard) },
    { id: 'things', title: 'Things', text: 'The same in answers, events and acks.', entries: things },
  ];
}

function thing(name, schema) {
  return h(
    'details',
    { class: 'entry', id: thingId(name) },
    h('summary', {}, h('span', { class: 'tag' }, schema.properties ? 'object' : (schema.type ?? 'value')), h('code', { class: 'path' }, name), h('span', { class: 'what' }, ...inline(schema.description?.split('\n')[0] ?? ''))),
    h('div', { class: 'inside' }, schema.description && prose(schema.description), schema.pattern && h('p', {}, h('code', {}, schema.pattern)), fieldsOf(schema)),
  );
}

function contents(list) {
  const links = list.map(({ id, title, entries }) => [
    h('h2', {}, h('a', { href: `#${id}` }, title)),
    h('ul', {}, ...entries.map((entry) => h('li', { data: { of: entry.id } }, h('a', { href: `#${entry.id}` }, ...inline(entry.title))))),
  ]);
  const fold = h('details', { open: matchMedia('(min-width: 900px)').matches }, h('summary', {}, 'Contents'), ...links.flat());
  const filter = h('input', { class: 'filter', type: 'search', placeholder: 'Filter (press /)', 'aria-label': 'Filter routes, events and things', autocomplete: 'off' });
  const brand = h('a', { class: 'brand', href: '#top' }, h('img', { src: '/docs/assets/icon.svg', alt: '' }), 'jivchat API');
  return { filter, element: h('nav', { class: 'contents', 'aria-label': 'Contents' }, brand, filter, fold) };
}

function main(openapi, list) {
  const groups = list.map(({ id, title, text, entries }) =>
    h('section', { class: 'group', id, 'aria-label': title }, h('h2', {}, title), prose(text), ...entries.map(({ element }) => element)),
  );
  const raw = ['openapi', 'asyncapi'].map((name) => h('a', { class: 'button', href: `/api/${name}.json` }, `${name}.json`));
  return h(
    'main',
    { class: 'content', id: 'content', tabIndex: -1 },
    h('h1', { id: 'top' }, 'The API of this chat server'),
    h('p', { class: 'lead' }, `${openapi.info.summary} Version ${openapi.info.version}.`),
    h('div', { class: 'raw' }, ...raw),
    h('section', { class: 'introduction' }, prose(openapi.info.description)),
    ...groups,
    h('p', { class: 'nothing', role: 'status', hidden: true }, 'Nothing here has these words.'),
  );
}

/** Shows what has all the words; a group with nothing left goes too. */
function apply(query, list, root) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  let total = 0;
  for (const { id, entries } of list) {
    let shown = 0;
    for (const entry of entries) {
      const fits = words.every((word) => entry.words.includes(word));
      entry.element.hidden = !fits;
      root.querySelector(`[data-of="${entry.id}"]`).hidden = !fits;
      shown += fits ? 1 : 0;
    }
    document.getElementById(id).hidden = shown === 0;
    root.querySelector(`h2 > a[href="#${id}"]`).hidden = shown === 0;
    total += shown;
  }
  root.querySelector('.introduction').hidden = words.length > 0;
  root.querySelector('.nothing').hidden = total > 0;
}

/** Unfolds what the address names, and says in the contents where one is. */
function follow(root) {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  for (const link of root.querySelectorAll('.contents [aria-current]')) link.removeAttribute('aria-current');
  if (!target) return;
  if (target.localName === 'details') target.open = true;
  root.querySelector(`.contents a[href="#${CSS.escape(id)}"]`)?.setAttribute('aria-current', 'true');
  target.scrollIntoView();
}

async function start() {
  const root = document.getElementById('docs');
  const [openapi, asyncapi] = await Promise.all(['/api/openapi.json', '/api/asyncapi.json'].map(read));
  const list = chapters(openapi, asyncapi);
  const { filter, element } = contents(list);
  root.className = 'docs';
  root.replaceChildren(element, main(openapi, list));

  filter.addEventListener('input', () => {
    apply(filter.value, list, root);
    // Where one has read to is elsewhere now; what is found begins above.
    scrollTo({ top: 0 });
  });
  addEventListener('keydown', (event) => {
    if (event.key === '/' && document.activeElement?.localName !== 'input' && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      filter.focus();
    }
    if (event.key === 'Escape' && document.activeElement === filter) {
      filter.value = '';
      apply('', list, root);
    }
  });
  addEventListener('hashchange', () => follow(root));
  follow(root);
}

start().catch((error) => {
  document.getElementById('docs').replaceChildren(h('p', { class: 'docs-notice', role: 'alert' }, `The descriptions could not be loaded (${error.message}).`));
});
