/** Users, pets and chats to browse and to search, and what can be done to a user or a pet. */

import { call, path, query } from './admin-api.js';
import { show, titled } from './dialogs.js';
import { avatar, h, icon, petPicture } from './dom.js';
import { price } from './format.js';
import { pages, table } from './pages.js';

const PAGE = 50;
/** A pause in typing after which the search begins. */
const PAUSE_MS = 200;

/**
 * A list that is fetched in pages, with a search field over it.
 * @param {{label: string, columns: string[], load: (text: string, next: any) => Promise<{rows: any[], next: any}>, row: (item: any, redraw: () => void) => Element[], id: string, onfail: (error: Error) => void}} options
 */
function listView({ label, columns, load, row, id, onfail }) {
  let pause;
  const input = h('input', { type: 'search', value: id ?? '', 'aria-label': label, placeholder: label, autocomplete: 'off', data: { testid: 'list-search' } });
  const grid = table({ label, columns, testid: 'rows' });
  const list = pages({
    into: grid.body, onfail,
    nothing: 'Nothing found',
    testid: 'list',
    load: async (next) => {
      const { rows, next: following } = await load(input.value.trim(), next);
      return { rows: rows.map(rowOf), next: following };
    },
  });
  const element = h('section', { class: 'list' }, h('div', { class: 'search' }, icon('search'), input), grid.element, list.status, list.more);

  function rowOf(item) {
    const element = h('tr', {});
    const draw = (changed) => element.replaceChildren(...grid.cells(row(changed, draw, () => element.remove())));
    draw(item);
    return element;
  }

  input.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(list.restart, PAUSE_MS);
  });
  list.restart();
  return {
    element,
    leave() {
      clearTimeout(pause);
      list.leave();
    },
  };
}

export function usersView({ id, onfail }) {
  const attempt = guarded(onfail);
  return listView({
    id, onfail,
    label: 'Search by id, name or e-mail',
    columns: ['User', 'E-mail', 'State', 'Chats', 'Actions'],
    load: async (search, after) => {
      const { users, pagination } = await call('GET', `/users${query({ search, after, limit: PAGE })}`);
      return { rows: users, next: pagination.next };
    },
    row: (user, draw, remove) => [
      h('th', { scope: 'row' }, h('span', { class: 'who' }, avatar(user, 32), h('span', {}, h('b', {}, user.name), h('small', {}, user._id)))),
      h('span', {}, user.email ?? ''),
      h('span', { data: { testid: `state-${user._id}` } }, user.isBanned ? h('span', { class: 'tag tag-bad' }, 'banned') : user.isOnline ? h('span', { class: 'tag tag-good' }, 'online') : 'offline'),
      h('a', { href: `#chats//${encodeURIComponent(user._id)}` }, 'Chats'),
      h('span', { class: 'row-actions' },
        h('button', { class: 'button', type: 'button', data: { testid: `ban-${user._id}` }, on: { click: attempt(async () => draw(await call(user.isBanned ? 'DELETE' : 'POST', path('users', user._id, 'ban')))) } }, user.isBanned ? 'Unban' : 'Ban'),
        h('button', { class: 'button button-danger', type: 'button', data: { testid: `erase-${user._id}` }, on: { click: attempt(async () => (await eraseUser(user)) && remove()) } }, 'Erase')),
    ],
  });
}

export function petsView({ id, onfail }) {
  const attempt = guarded(onfail);
  return listView({
    id, onfail,
    label: 'Search by id or description',
    columns: ['Pet', 'Price', 'Place', 'Owner', 'Chats', 'Actions'],
    load: async (search, after) => {
      const { pets, pagination } = await call('GET', `/pets${query({ search, after, limit: PAGE })}`);
      return { rows: pets, next: pagination.next };
    },
    row: (pet, _, remove) => [
      h('th', { scope: 'row' }, h('span', { class: 'who' }, petPicture(pet, 32, { class: 'pet-thumb' }), h('span', {}, h('b', {}, pet.title), h('small', {}, pet._id)))),
      h('span', {}, price(pet.price)),
      h('span', {}, pet.address ?? ''),
      pet.owner ? h('a', { href: `#users/${encodeURIComponent(idOf(pet.owner))}` }, idOf(pet.owner)) : h('span', {}),
      h('a', { href: `#chats//${encodeURIComponent(`pet:${pet._id}`)}` }, 'Chats'),
      h('button', { class: 'button button-danger', type: 'button', data: { testid: `remove-${pet._id}` }, on: { click: attempt(async () => (await removePet(pet)) && remove()) } }, 'Remove'),
    ],
  });
}

export function chatsView({ onfail }) {
  // `#chats//ID`: the chats of one user, or about one pet.
  const about = decodeURIComponent(location.hash.split('/')[2] ?? '');
  return listView({
    id: about, onfail,
    label: 'A user’s id, pet:id, or a chat’s id; empty for all, oldest first',
    columns: ['Participants', 'About', 'Messages', 'Last activity', 'Words'],
    load: loadChats,
    row: (chat) => [
      h('th', { scope: 'row' }, chat.participants.map(({ name }) => name).join(' and ')),
      h('span', {}, chat.petListing?.title ?? chat.chatType),
      h('span', {}, String(chat.messages)),
      h('time', { dateTime: chat.lastMessageTime }, new Date(chat.lastMessageTime).toLocaleString('en-IN')),
      h('a', { href: `#chats/${chat._id}`, data: { testid: `read-${chat._id}` } }, 'Read'),
    ],
  });
}

async function loadChats(text, next) {
  if (/^[0-9a-f]{24}$/.test(text)) {
    try {
      return { rows: [await call('GET', path('chats', text))], next: null };
    } catch (error) {
      if (error.status !== 404) throw error;
      return { rows: [], next: null };
    }
  }
  const which = text.startsWith('pet:') ? { pet: text.slice(4), skip: next } : text ? { user: text, skip: next } : { after: next };
  const { chats, pagination } = await call('GET', `/chats${query({ ...which, limit: PAGE })}`);
  return { rows: chats, next: pagination.next };
}

/** Asks in words that cannot be clicked away: the id has to be typed. */
export function typedConfirmation({ title, text, id, action }) {
  return new Promise((resolve) => {
    const input = h('input', { type: 'text', autocomplete: 'off', spellcheck: false, 'aria-label': `Type ${id} to confirm`, data: { testid: 'confirm-id' } });
    const go = h('button', { class: 'button button-danger', value: 'yes', disabled: true, data: { testid: 'confirm' } }, action);
    input.addEventListener('input', () => (go.disabled = input.value !== id));
    const dialog = titled(title, { on: { close: () => resolve(dialog.returnValue === 'yes' && input.value === id) } },
      h('p', {}, text), h('p', { class: 'typed' }, 'Type ', h('code', {}, id), ' to confirm:'), input,
      h('div', { class: 'dialog-actions' }, h('button', { class: 'button', value: 'no', type: 'button', on: { click: () => dialog.close('no') } }, 'Cancel'), go));
    show(dialog);
    input.focus();
  });
}

async function eraseUser(user) {
  const text = 'Profile, messages, pictures, videos and pets of this person are removed for good. Nothing brings them back.';
  if (!(await typedConfirmation({ title: `Erase ${user.name}?`, text, id: user._id, action: 'Erase for good' }))) return false;
  await call('DELETE', path('users', user._id));
  return true;
}

async function removePet(pet) {
  const text = 'Chats about it stay, with what is left of its description.';
  if (!(await typedConfirmation({ title: `Remove ${pet.title}?`, text, id: pet._id, action: 'Remove' }))) return false;
  await call('DELETE', path('pets', pet._id));
  return true;
}

/** Runs what a button does; a failure is shown, and the button waits meanwhile. */
export function guarded(onfail) {
  return (action) => async ({ currentTarget }) => {
    currentTarget.disabled = true;
    try {
      await action();
    } catch (error) {
      onfail(error);
    } finally {
      currentTarget.disabled = false;
    }
  };
}

function idOf(owner) {
  return typeof owner === 'string' ? owner : (owner._id ?? owner.id ?? '');
}
