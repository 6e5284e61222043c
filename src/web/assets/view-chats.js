/** The list of conversations: who, about which pet, the last words, and what is unread. */

import { fill, h, icon, mirror } from './dom.js';
import { language, preview, price, when } from './format.js';
import { tick } from './view-message.js';

/** @returns {{element: Element, update: (openChatId: string|undefined) => void}} */
export function chatsView(model) {
  const list = h('ul', { class: 'chat-list', 'aria-label': 'Conversations' });
  const empty = h('p', { class: 'empty', hidden: true }, 'No conversations yet. ', h('a', { href: '#pets' }, 'Look at the pets'), ' and ask a seller.');
  return {
    element: h('div', { class: 'chats' }, list, empty),
    update(openChatId) {
      mirror(list, model.sortedChats(), face, chatItem, (item, chat) => updateItem(item, chat, model, openChatId));
      empty.hidden = !model.chatsLoaded || model.chats.size > 0;
    },
  };
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
        h('img', { class: 'avatar', src: chat.other.profilePicture ?? '', alt: '', width: 48, height: 48 }),
        h('span', { class: 'presence', data: { testid: 'presence' } })),
      h('span', { class: 'chat-text' },
        h('span', { class: 'chat-line' }, h('span', { class: 'chat-name' }, chat.other.name), h('span', { class: 'chat-time' })),
        h('span', { class: 'chat-line chat-last' }, h('span', { class: 'chat-preview' }), h('span', { class: 'chat-badge' })),
        pet && petLine(pet))));
}

function petLine(pet) {
  return h('span', { class: 'chat-pet' },
    h('img', { src: pet.images[0]?.url ?? '', alt: '', width: 28, height: 28 }),
    h('span', { class: 'chat-pet-title' }, pet.title),
    h('span', { class: 'chat-pet-price' }, price(pet.price)),
    h('span', { class: 'chat-pet-city' }, pet.address));
}

function updateItem(item, chat, model, openChatId) {
  const link = item.firstElementChild;
  const isOpen = chat._id === openChatId;
  link.classList.toggle('is-open', isOpen);
  link.classList.toggle('is-unread', chat.unread > 0);
  if (isOpen) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');

  updatePresence(link.querySelector('.presence'), model.presence.get(chat.other._id)?.isOnline);
  link.querySelector('.chat-time').textContent = chat.lastMessageTime ? when(chat.lastMessageTime) : '';
  updatePreview(link.querySelector('.chat-preview'), chat, model);
  fill(link.querySelector('.chat-badge'), `${chat.unread}`, () =>
    chat.unread > 0 && h('span', { class: 'badge', data: { testid: 'unread-badge' }, 'aria-label': `${chat.unread} unread` }, String(chat.unread)));
}

/** A dot, with words for those who cannot see its colour. */
export function updatePresence(dot, isOnline) {
  dot.classList.toggle('is-online', Boolean(isOnline));
  dot.dataset.online = Boolean(isOnline);
  dot.setAttribute('role', 'img');
  dot.setAttribute('aria-label', isOnline ? 'online' : 'offline');
}

function updatePreview(element, chat, model) {
  const typing = model.isTyping(chat);
  const last = chat.lastMessage;
  const text = typing ? 'typing…' : preview(last);
  const own = !typing && last?.sender?._id === model.me._id;
  element.classList.toggle('is-typing', typing);
  element.lang = typing ? 'en' : language(text);
  fill(element, `${own ? last.status : ''}|${text}`, () => [own && !last.isDeleted && tick(last.status), text]);
}
