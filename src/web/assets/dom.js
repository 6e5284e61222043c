/**
 * Building and updating elements. Text always goes in as text nodes, never as markup, so nothing a user wrote can
 * become part of the page. Knows nothing of the chat.
 */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {object} [properties] `class`, `data` (dataset), `on` (listeners), attributes (`aria-…`, `role`, …) or properties
 * @param {...(Node|string|null|undefined|false)} children
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === 'class') element.className = value;
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of a drawing, with attributes alone. */
export function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** One of the line drawings below, decorative unless a label says what it means. */
export function icon(name, label) {
  const meaning = label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' };
  return s('svg', { viewBox: '0 0 24 24', class: `icon icon-${name}`, ...meaning }, s('path', { d: ICONS[name] }));
}

const ICONS = {
  back: 'M15 5l-7 7 7 7',
  send: 'M4 12l16-8-6 16-3-7z',
  attach: 'M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.5 3.5 0 0 1 5 5l-8.5 8.5a2 2 0 0 1-3-3L14 7',
  reply: 'M10 6L4 12l6 6M4 12h9a7 7 0 0 1 7 7',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  block: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12',
  close: 'M6 6l12 12M18 6L6 18',
  retry: 'M20 5v5h-5M20 10a8 8 0 1 0 0 5',
  down: 'M6 9l6 6 6-6',
  paw: 'M3 11a2 2.6 0 1 0 4 0a2 2.6 0 1 0 -4 0zM7.3 6.6a2 2.8 0 1 0 4 0a2 2.8 0 1 0 -4 0zM12.7 6.6a2 2.8 0 1 0 4 0a2 2.8 0 1 0 -4 0zM17 11a2 2.6 0 1 0 4 0a2 2.6 0 1 0 -4 0zM12 11.5c-3.4 0-6 3.2-6 5.8 0 2.6 2.6 3.2 6 2.2 3.4 1 6 .4 6-2.2 0-2.6-2.6-5.8-6-5.8z',
  chats: 'M4 5h16v11H9l-5 4z',
  switch: 'M7 4L3 8l4 4M3 8h14M17 12l4 4-4 4M21 16H7',
  sent: 'M5 13l4 4L19 7',
  delivered: 'M2 13l4 4L15 8M11 16l1 1L22 7',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20',
  settings: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5v5M8 14.5v5',
  forward: 'M9 5l7 7-7 7',
  open: 'M14 4h6v6M20 4l-9 9M11 5H5v14h14v-6',
  out: 'M10 4H5v16h5M14 8l4 4-4 4M18 12H9',
  clock: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2',
  warning: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  flag: 'M6 21V4M6 5c4-2.5 7 2 12 0v9c-5 2-8-2.5-12 0',
  more: 'M12 5v.01M12 12v.01M12 19v.01',
};

/** Somebody's picture if it comes from here, else their initials: nothing is fetched from other hosts. */
export function avatar(person, size, className = '') {
  const initials = () => h('span', { class: `avatar avatar-initials ${className}`, 'aria-hidden': 'true', data: { hue: hueOf(person._id) } }, initialsOf(person.name));
  if (!isLocal(person.profilePicture)) return initials();
  const picture = h('img', { class: `avatar ${className}`, src: person.profilePicture, alt: '', width: size, height: size });
  picture.addEventListener('error', () => picture.replaceWith(initials()), { once: true });
  return picture;
}

/** A pet's first picture if it comes from here, else a paw. */
export function petPicture(pet, size, properties = {}) {
  const paw = () => h('span', { ...properties, class: `${properties.class ?? ''} no-picture`, 'aria-hidden': 'true' }, icon('paw'));
  const url = pet.images?.[0]?.url;
  if (!isLocal(url)) return paw();
  const picture = h('img', { alt: '', ...properties, src: url, width: size, height: size });
  picture.addEventListener('error', () => picture.replaceWith(paw()), { once: true });
  return picture;
}

function isLocal(url) {
  if (!url) return false;
  try {
    return new URL(url, location.href).origin === location.origin;
  } catch {
    return false;
  }
}

function initialsOf(name = '') {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = [...new Intl.Segmenter().segment(words[0] ?? '?')].slice(0, 1).concat(words.length > 1 ? [...new Intl.Segmenter().segment(words.at(-1))].slice(0, 1) : []);
  return letters.map(({ segment }) => segment.toLocaleUpperCase()).join('');
}

/** One of eight colours, always the same for one person. */
function hueOf(id = '') {
  return [...id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 8, 0);
}

/**
 * Makes `parent`'s children mirror `items` and keeps the elements of items that stay, so that focus, scroll position
 * and running videos survive an update.
 * @param {(item: any) => string} keyOf @param {(item: any) => Element} create @param {(element: any, item: any) => void} update
 */
export function mirror(parent, items, keyOf, create, update) {
  const existing = new Map([...parent.children].map((element) => [element.mirrorKey, element]));
  let position = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = existing.get(key);
    if (element) {
      existing.delete(key);
    } else {
      element = create(item);
      element.mirrorKey = key;
    }
    update(element, item);
    if (element === position) position = position.nextElementSibling;
    else parent.insertBefore(element, position);
  }
  for (const element of existing.values()) element.remove();
}

/** Replaces the children only when the description changed: cheap updates and no flicker for screen readers. */
export function fill(element, description, build) {
  if (element.filledWith === description) return;
  element.filledWith = description;
  element.replaceChildren(...[build()].flat().filter(Boolean));
}

/** A video that is already gone from the page may still be reading its file; a URL taken away under it is an error. */
const READING_MS = 60_000;

/** Gives a preview's `blob:` address back, when nobody reads it any more. */
export function releasePreview(url) {
  if (url) setTimeout(() => URL.revokeObjectURL(url), READING_MS);
}
