/** The list of conversations: who, about which pet, the last words, what is unread; and the search in it. */

import { avatar, fill, h, icon, mirror, petPicture } from './dom.js';
import { language as languageOf, preview, price, when } from './format.js';
import { language, t } from './language.js';
import { tick } from './view-message.js';

/** @returns {{element: Element, update: (openChatId: string|undefined) => void, focusSearch: () => void}} */
export function chatsView(model, { onretry }) {
  let wanted = '';
  let openId;
  const input = h('input', { type: 'search', placeholder: t('chats.search'), 'aria-label': t('chats.search'), autocomplete: 'off', enterKeyHint: 'search', data: { testid: 'search' } });
  const list = h('ul', { class: 'chat-list', 'aria-label': t('chats.title') });
  const state = h('div', { class: 'list-state' });
  const found = h('p', { class: 'visually-hidden', role: 'status' });
  const element = h('div', { class: 'chats' },
    h('div', { class: 'search' }, icon('search'), input),
    found, h('div', { class: 'chat-scroller' }, list, state));

  function search(text) {
    wanted = text.trim();
    input.value = text;
    update(openId);
    found.textContent = wanted ? t('chats.found', { count: list.children.length }) : '';
  }

  function update(openChatId) {
    openId = openChatId;
    const chats = wanted ? model.searchChats(wanted) : model.sortedChats();
    mirror(list, chats, face, chatItem, (item, chat) => updateItem(item, chat, model, openChatId));
    const kind = stateOf(chats);
    fill(state, `${kind}|${wanted}|${model.chatsFailure}`, () => stateView(kind));
  }

  function stateOf(chats) {
    if (chats.length > 0) return 'full';
    if (model.chatsFailure) return 'failed';
    if (!model.chatsLoaded) return 'loading';
    return wanted ? 'no-match' : 'none';
  }

  function stateView(kind) {
    switch (kind) {
      case 'loading':
        return h('div', { class: 'skeletons', role: 'status', 'aria-label': t('chats.loading') }, ...Array.from({ length: 5 }, () => h('div', { class: 'skeleton' }, h('i'), h('span', {}, h('b'), h('b')))));
      case 'failed':
        return stateBlock('warning', t('chats.failed'), model.chatsFailure, h('button', { class: 'button', type: 'button', data: { testid: 'retry-chats' }, on: { click: onretry } }, t('state.retry')));
      case 'none':
        return model.pets.length > 0
          ? stateBlock('paw', t('chats.none'), t('chats.noneText'), h('a', { class: 'button button-strong', href: '#pets' }, t('chats.look')))
          : stateBlock('chats', t('chats.none'), t('chats.noneSignedIn'));
      case 'no-match':
        return stateBlock('search', t('chats.noMatch'), t('chats.noMatchText', { text: wanted }), h('button', { class: 'button', type: 'button', data: { testid: 'clear-search' }, on: { click: () => search('') } }, t('chats.clear')));
      default:
        return null;
    }
  }

  input.addEventListener('input', () => search(input.value));
  element.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('.chat-item')];
    const at = links.indexOf(document.activeElement);
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1 };
    if (event.key === 'Escape' && input.value) search('');
    else if (event.key === 'Enter' && event.target === input) links[0]?.click();
    else if (event.key in steps) {
      event.preventDefault();
      (links[steps[event.key]] ?? (at === 0 ? input : links[at]))?.focus();
    }
  });

  return {
    element,
    update,
    focusSearch() {
      if (!element.checkVisibility()) location.hash = '';
      input.focus();
      input.select();
    },
  };
}

/** Why there is nothing, and what can be done about it. */
export function stateBlock(iconName, title, text, action) {
  return h('div', { class: 'state', data: { testid: 'state' } }, icon(iconName), h('h2', {}, title), h('p', {}, text), action);
}

/** What an item shows for good; when that changes it is made anew. */
export function face({ _id, other, petListing }) {
  return JSON.stringify([_id, other.name, other.profilePicture, petListing]);
}

function chatItem(chat) {
  const pet = chat.petListing;
  return h('li', {},
    h('a', { class: 'chat-item', href: `#chat=${chat._id}`, data: { testid: `chat-${chat._id}`, with: chat.other._id, ...(pet && { pet: pet._id }) } },
      h('span', { class: 'avatar-frame' },
        avatar(chat.other, 48),
        h('span', { class: 'presence', data: { testid: 'presence' } })),
      h('span', { class: 'chat-text' },
        h('span', { class: 'chat-line' }, h('span', { class: 'chat-name' }, chat.other.name), h('span', { class: 'chat-time' })),
        h('span', { class: 'chat-line chat-last' }, h('span', { class: 'chat-preview' }), h('span', { class: 'chat-badge' })),
        pet && petLine(pet))));
}

function petLine(pet) {
  return h('span', { class: 'chat-pet' },
    petPicture(pet, 28),
    h('span', { class: 'chat-pet-title' }, pet.title),
    price(pet.price) && h('span', { class: 'chat-pet-price' }, price(pet.price)),
    pet.address && h('span', { class: 'chat-pet-city' }, pet.address));
}

function updateItem(item, chat, model, openChatId) {
  const link = item.firstElementChild;
  const isOpen = chat._id === openChatId;
  link.classList.toggle('is-open', isOpen);
  link.classList.toggle('is-unread', chat.unread > 0);
  if (isOpen) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');

  updatePresence(link.querySelector('.presence'), model.presence.get(chat.other._id)?.isOnline);
  setText(link.querySelector('.chat-time'), chat.lastMessageTime ? when(chat.lastMessageTime) : '');
  updatePreview(link.querySelector('.chat-preview'), chat, model);
  const label = t('chats.unread', { count: chat.unread });
  fill(link.querySelector('.chat-badge'), `${chat.unread}`, () =>
    chat.unread > 0 && h('span', { class: 'badge', role: 'img', data: { testid: 'unread-badge' }, 'aria-label': label }, String(chat.unread)));
}

/** A dot, with words for those who cannot see its colour. */
export function updatePresence(dot, isOnline) {
  if (dot.dataset.online === String(Boolean(isOnline))) return;
  dot.classList.toggle('is-online', Boolean(isOnline));
  dot.dataset.online = Boolean(isOnline);
  dot.setAttribute('role', 'img');
  dot.setAttribute('aria-label', isOnline ? t('presence.online') : t('presence.offline'));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function updatePreview(element, chat, model) {
  const typing = model.isTyping(chat);
  const last = chat.lastMessage;
  const text = typing ? t('typing.short') : preview(last);
  const own = !typing && last?.sender?._id === model.me._id;
  element.classList.toggle('is-typing', typing);
  element.lang = typing || !last ? language : languageOf(text);
  fill(element, `${own ? last.status : ''}|${text}`, () => [own && !last.isDeleted && tick(last.status), text]);
}
