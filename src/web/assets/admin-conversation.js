/** One conversation, read by an admin. Every look into it is in the audit log, and the page says so. */

import { call, path, query } from './admin-api.js';
import { h } from './dom.js';
import { clock, day, price } from './format.js';

const PAGE = 50;

export function conversationView({ id, onfail }) {
  const head = h('div', { class: 'card talk-head' });
  const list = h('ol', { class: 'talk', data: { testid: 'talk' } });
  const older = h('button', { class: 'button', type: 'button', hidden: true, data: { testid: 'older' } }, 'Older messages');
  const status = h('p', { class: 'admin-hint', role: 'status' });
  const element = h('section', {}, head, h('p', { class: 'audited', data: { testid: 'audited' } }, 'That you read this is written to the audit log.'), older, list, status);
  let first;
  let hasLeft = false;

  async function begin() {
    try {
      const chat = await call('GET', path('chats', id));
      if (hasLeft) return;
      const { petListing: pet, participants, blockedBy } = chat;
      head.replaceChildren(
        h('p', {}, ...participants.flatMap(({ _id, name }, index) => [index > 0 && ' and ', h('a', { href: `#users/${encodeURIComponent(_id)}` }, `${name} (${_id})`)].filter(Boolean))),
        h('p', { class: 'admin-hint' }, [pet ? [pet.title, price(pet.price)].filter(Boolean).join(', ') : chat.chatType, `${chat.messages} messages`, blockedBy.length > 0 && `blocked by ${blockedBy.join(', ')}`].filter(Boolean).join(' · ')));
      await more();
    } catch (error) {
      status.textContent = error.status === 404 ? 'There is no such chat.' : '';
      if (error.status !== 404) onfail(error);
    }
  }

  async function more() {
    const { messages, pagination } = await call('GET', `${path('chats', id, 'messages')}${query({ before: first, limit: PAGE })}`);
    if (hasLeft) return;
    first = messages[0]?._id ?? first;
    list.prepend(...messages.map(messageRow));
    older.hidden = !pagination.hasMore;
    status.textContent = list.children.length === 0 ? 'Nothing was said here.' : '';
  }

  older.addEventListener('click', async () => {
    older.disabled = true;
    await more().catch(onfail);
    older.disabled = false;
  });
  begin();
  return { element, leave: () => (hasLeft = true) };
}

function messageRow(message) {
  const { sender, createdAt, isDeleted, content, mediaUrl, status } = message;
  return h('li', { class: isDeleted ? 'is-deleted' : '', data: { testid: 'said' } },
    h('p', { class: 'talk-by' }, h('b', {}, sender.name), h('time', { dateTime: createdAt }, `${day(createdAt)}, ${clock(createdAt)}`), h('span', {}, status)),
    h('p', { class: 'talk-words', dir: 'auto' }, content),
    mediaUrl && h('a', { href: `/uploads/chat_media/${encodeURIComponent(mediaUrl)}`, target: '_blank', rel: 'noopener', data: { testid: 'open-media' }, on: { click: openMedia } }, message.messageType === 'video' ? 'Open the video' : 'Open the picture'));
}

/** With `--private-media` files are for participants alone; better said here than as an error in a new tab. */
async function openMedia(event) {
  event.preventDefault();
  const link = event.currentTarget;
  const { status } = await fetch(link.href, { method: 'HEAD' }).catch(() => ({ status: 0 }));
  if (status === 401 || status === 403) link.replaceWith(h('p', { class: 'admin-hint', data: { testid: 'private-media' } }, 'This server gives pictures and videos to participants alone (--private-media), so that they cannot be seen here.'));
  else if (status === 404) link.replaceWith(h('p', { class: 'admin-hint' }, 'The file is gone.'));
  else open(link.href, '_blank', 'noopener');
}
