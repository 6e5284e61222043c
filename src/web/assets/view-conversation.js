/** An open chat: its head with the pet, the messages, who is typing, and the place to write. Owns the scrolling. */

import { confirm, showPicture } from './dialogs.js';
import { fill, h, icon, mirror } from './dom.js';
import { day, lastSeen, price } from './format.js';
import { face, updatePresence } from './view-chats.js';
import { composerView } from './view-composer.js';
import { messageView, updateMessage } from './view-message.js';

/** How near to the end counts as "reading the newest". */
const NEAR_END_PX = 80;
/** Messages of one person this close together are drawn as one block. */
const BLOCK_MS = 5 * 60_000;

/** @returns {{element: Element, open: (chatId: string) => void, update: () => void}} */
export function conversationView(model, client) {
  let chatId;
  let atEnd = true;
  let firstKey;

  const head = h('header', { class: 'conversation-head' });
  const list = h('ol', { class: 'messages' });
  const older = h('p', { class: 'older', hidden: true }, 'Loading older messages…');
  const typing = h('p', { class: 'typing', role: 'status', hidden: true, data: { testid: 'typing' } }, h('span', { class: 'typing-dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), h('span', { class: 'typing-name' }));
  const scroller = h('div', { class: 'scroller', role: 'log', 'aria-label': 'Messages', tabIndex: 0 }, older, list, typing);
  const jump = h('button', { class: 'jump', type: 'button', hidden: true, 'aria-label': 'Newest messages', on: { click: () => toEnd(true) } }, icon('down'), h('span', { class: 'jump-count' }));
  const composer = composerView({
    onsend: (text, parent) => whileAtEnd(() => client.outbox.sendText(chatId, text, parent)),
    onfile: (file, caption) => whileAtEnd(() => client.outbox.sendFile(chatId, file, caption)),
    ontyping: () => client.typing(),
    onidle: () => client.stopTyping(),
  });
  const blocked = h('div', { class: 'blocked', hidden: true, role: 'status', data: { testid: 'blocked' } });
  const element = h('section', { class: 'conversation', 'aria-label': 'Conversation' }, head, h('div', { class: 'scroll-frame' }, scroller, jump), blocked, composer.element);

  const actions = {
    onreply: (message) => composer.reply(message),
    onretry: (entry) => client.outbox.retry(entry),
    ondiscard: (entry) => client.outbox.discard(entry),
    onpicture: (url, words) => showPicture(url, words || 'Picture'),
    onjump: ({ _id }) => jumpTo(_id),
    ondelete: async (message) => {
      const text = 'It disappears for both of you and cannot be brought back.';
      if (await confirm({ title: 'Delete this message?', text, action: 'Delete' })) client.deleteMessage(message);
    },
  };

  function whileAtEnd(send) {
    atEnd = true;
    send();
  }

  function toEnd(smooth = false) {
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: smooth ? 'smooth' : 'instant' });
  }

  function jumpTo(messageId) {
    const target = list.querySelector(`[data-id="${CSS.escape(messageId)}"]`);
    target?.scrollIntoView({ block: 'center', behavior: 'smooth' });
    target?.focus({ preventScroll: true });
  }

  /** Reading means: this chat is open, the newest is in view, and somebody is in front of the page. */
  function markRead() {
    const visible = document.visibilityState === 'visible' && element.checkVisibility();
    if (chatId && visible && atEnd) client.markRead(chatId);
  }

  async function toggleBlock(chat) {
    const mine = chat.blockedBy.includes(model.me._id);
    const text = `Neither of you can write while the chat is blocked. ${chat.other.name} will see that it is.`;
    if (mine || (await confirm({ title: `Block ${chat.other.name}?`, text, action: 'Block' }))) client.toggleBlock(chat._id);
  }

  function updateHead(chat) {
    const mine = chat.blockedBy.includes(model.me._id);
    fill(head, `${face(chat)}|${mine}`, () => [
      h('a', { class: 'icon-button only-narrow', href: '#', 'aria-label': 'Back to conversations', data: { testid: 'back' } }, icon('back')),
      h('span', { class: 'avatar-frame' }, h('img', { class: 'avatar', src: chat.other.profilePicture ?? '', alt: '', width: 40, height: 40 }), h('span', { class: 'presence', data: { testid: 'presence' } })),
      h('div', { class: 'head-text' }, h('h1', {}, chat.other.name), h('p', { class: 'head-status', data: { testid: 'status' } })),
      h('button', { class: 'icon-button', type: 'button', 'aria-pressed': String(mine), 'aria-label': mine ? `Unblock ${chat.other.name}` : `Block ${chat.other.name}`, title: mine ? 'Unblock' : 'Block', data: { testid: 'block' }, on: { click: () => toggleBlock(model.chats.get(chat._id)) } }, icon('block')),
      chat.petListing && petBar(chat.petListing),
    ]);
    const presence = model.presence.get(chat.other._id);
    updatePresence(head.querySelector('.presence'), presence?.isOnline);
    const status = presence?.isOnline ? 'online' : lastSeen(presence?.lastSeen);
    head.querySelector('.head-status').textContent = model.connection.state === 'online' ? status : 'waiting for the connection';
  }

  function updateFoot(chat) {
    const isBlocked = chat.blockedBy.length > 0;
    // Somebody was erased: there is nobody to write to.
    const isOver = chat.isActive === false;
    const mine = chat.blockedBy.includes(model.me._id);
    blocked.hidden = !isBlocked && !isOver;
    composer.element.hidden = isBlocked || isOver;
    fill(blocked, `${face(chat)}|${isOver}|${isBlocked}|${mine}`, () => [
      isOver ? h('p', {}, 'This person is no longer here.') : h('p', {}, mine ? `You have blocked this chat with ${chat.other.name}.` : `${chat.other.name} has blocked this chat.`),
      mine && !isOver && h('button', { class: 'button', type: 'button', data: { testid: 'unblock' }, on: { click: () => toggleBlock(model.chats.get(chat._id)) } }, 'Unblock'),
    ]);
  }

  function updateMessages(chat, conversation) {
    const items = withDays([...conversation.messages, ...model.pending.filter((entry) => entry.chat === chatId)]);
    const heightBefore = scroller.scrollHeight;
    const topBefore = scroller.scrollTop;
    const wasAtEnd = atEnd;
    const isOwn = ({ sender }) => sender._id === model.me._id;
    mirror(list, items, keyOf,
      (item) => (item.day ? h('li', { class: 'day' }, h('span', {}, item.day)) : messageView(item.message, isOwn(item.message), actions)),
      (row, item) => {
        if (item.day) return;
        row.classList.toggle('is-first', item.isFirst);
        updateMessage(row, item.message, isOwn(item.message), actions);
      });
    // Older messages push the rest down: keep what is being read where it is.
    const grewAtTop = firstKey !== undefined && conversation.messages[0]?._id !== firstKey;
    firstKey = conversation.messages[0]?._id;
    if (wasAtEnd) toEnd();
    else if (grewAtTop) scroller.scrollTop = topBefore + scroller.scrollHeight - heightBefore;
    older.hidden = !conversation.loadingOlder;
    jump.hidden = atEnd;
    jump.lastElementChild.textContent = chat.unread > 0 ? String(chat.unread) : '';
  }

  function updateTyping(chat) {
    const isTyping = model.isTyping(chat);
    typing.hidden = !isTyping;
    typing.lastElementChild.textContent = isTyping ? `${chat.other.name} is typing` : '';
    if (isTyping && atEnd) toEnd();
  }

  let lastTop = 0;
  scroller.addEventListener('scroll', () => {
    const isNearEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    // Only who scrolls up leaves the end: a picture that has just grown the list has moved it away from nobody.
    atEnd = isNearEnd || (atEnd && scroller.scrollTop >= lastTop);
    lastTop = scroller.scrollTop;
    jump.hidden = atEnd;
    if (scroller.scrollTop < 200 && chatId) client.loadOlder(chatId);
    markRead();
  });
  // Pictures that finish loading, and a phone's keyboard, change the height under a reader of the newest message.
  const resized = new ResizeObserver(() => atEnd && toEnd());
  resized.observe(list);
  resized.observe(scroller);
  document.addEventListener('visibilitychange', markRead);
  element.addEventListener('dragover', (event) => event.preventDefault());
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped && !composer.element.hidden) composer.setFile(dropped);
  });

  return {
    element,
    open(nextChatId) {
      if (nextChatId === chatId) return;
      chatId = nextChatId;
      atEnd = true;
      lastTop = 0;
      firstKey = undefined;
      list.replaceChildren();
      composer.open(chatId);
      client.openChat(chatId);
      if (matchMedia('(min-width: 720px)').matches) composer.focus();
    },
    close() {
      chatId = undefined;
      client.closeChat();
    },
    update() {
      const chat = model.chats.get(chatId);
      element.classList.toggle('is-loading', !chat);
      if (!chat) return;
      updateHead(chat);
      updateFoot(chat);
      updateMessages(chat, model.conversation(chatId));
      updateTyping(chat);
      markRead();
    },
  };
}

function petBar(pet) {
  return h('div', { class: 'pet-bar' },
    h('img', { src: pet.images[0]?.url ?? '', alt: '', width: 44, height: 44 }),
    h('span', { class: 'pet-bar-title' }, pet.title),
    h('span', { class: 'pet-bar-facts' }, [price(pet.price), pet.address].filter(Boolean).join(' · ')));
}

/** Puts a line before the first message of each day, and finds where a block of one person's messages begins. */
function withDays(messages) {
  const items = [];
  let previous;
  for (const message of messages) {
    const label = day(message.createdAt);
    if (!previous || day(previous.createdAt) !== label) items.push({ day: label });
    const sameBlock = previous && items.at(-1).message && previous.sender._id === message.sender._id && new Date(message.createdAt) - new Date(previous.createdAt) < BLOCK_MS;
    items.push({ message, isFirst: !sameBlock });
    previous = message;
  }
  return items;
}

/** A pending message and the stored one it becomes have the same key, so the bubble stays where it is. */
function keyOf({ day: label, message }) {
  return label ? `day ${label}` : `${message.sender._id} ${message.clientMessageId ?? message._id}`;
}
