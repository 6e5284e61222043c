/** The messages of an open chat and the scrolling through them. Owns which of them are on the page and where the reader is. */

import { h, icon, mirror } from './dom.js';
import { day } from './format.js';
import { t } from './language.js';
import { messageView, updateMessage } from './view-message.js';
import { MessageWindow, STEP } from './window.js';

/** How near to the end counts as "reading the newest". */
const NEAR_END_PX = 80;
/** Messages of one person this close together are drawn as one block. */
const BLOCK_MS = 5 * 60_000;
/** Screens before an edge of what is on the page at which more is put there. */
const AHEAD = 1.5;

/**
 * @param {Model} model @param {object} actions of a message
 * @param {{onolder: () => void, onread: () => void}} events
 */
export function historyView(model, actions, { onolder, onread }) {
  let chatId;
  let shown = new MessageWindow();
  let atEnd = true;
  let lastTop = 0;
  /** The first message in view and how far down the whole content it stands: what has to stay where it is. */
  let anchor;

  const begin = h('p', { class: 'older', data: { testid: 'begin' } });
  const list = h('ol', { class: 'messages' });
  const typing = h('p', { class: 'typing', role: 'status', hidden: true, data: { testid: 'typing' } }, h('span', { class: 'typing-dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), h('span', { class: 'typing-name' }));
  // What comes in is told below, once; rows that scrolling puts here are no news.
  const scroller = h('div', { class: 'scroller', role: 'log', 'aria-live': 'off', 'aria-label': t('chat.messages'), 'aria-description': t('chat.keys'), tabIndex: 0 }, begin, list, typing);
  const jump = h('button', { class: 'jump', type: 'button', hidden: true, 'aria-label': t('chat.newest'), data: { testid: 'jump' }, on: { click: () => toNewest() } }, icon('down'), h('span', { class: 'jump-count' }));
  const element = h('div', { class: 'scroll-frame' }, scroller, jump);

  const conversation = () => model.conversation(chatId);
  const isOwn = ({ sender }) => sender._id === model.me._id;

  function toEnd() {
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: 'instant' });
  }

  function toNewest() {
    atEnd = true;
    shown.pin();
    draw();
  }

  /** Puts what is in view back where it was, or the newest to the end. */
  function settle() {
    if (atEnd && shown.pinned) {
      toEnd();
      return;
    }
    if (!anchor?.row.isConnected) return;
    // By how much the content moved, not the row: the reader may have scrolled since, and not been heard of yet.
    const depth = depthOf(anchor.row);
    scroller.scrollTop += depth - anchor.depth;
    anchor.depth = depth;
  }

  function depthOf(row) {
    return row.getBoundingClientRect().top - scroller.getBoundingClientRect().top + scroller.scrollTop;
  }

  function takeAnchor() {
    const { top } = scroller.getBoundingClientRect();
    // A line between days moves when more of its day comes; a message does not.
    const row = [...list.querySelectorAll('.message')].find((one) => one.getBoundingClientRect().bottom > top);
    anchor = row && { row, depth: depthOf(row) };
  }

  function draw() {
    const { messages, hasOlder, loadingOlder, loaded } = conversation();
    const [start, end] = shown.range(messages);
    const pending = shown.pinned ? model.pending.filter((entry) => entry.chat === chatId) : [];
    const items = withDays([...messages.slice(start, end), ...pending]);
    mirror(list, items, keyOf,
      (item) => (item.day ? h('li', { class: 'day' }, h('span', {}, item.day)) : messageView(item.message, isOwn(item.message), actions)),
      (row, item) => {
        if (item.day) return;
        row.classList.toggle('is-first', item.isFirst);
        updateMessage(row, item.message, isOwn(item.message), actions);
      });
    const { other } = model.chats.get(chatId);
    const isBegin = loaded && !hasOlder && start === 0 && items.length > 0;
    const words = loadingOlder ? t('chat.older') : isBegin ? t('chat.begin', { name: other.name }) : '';
    if (begin.textContent !== words) begin.textContent = words;
    settle();
    const { unread } = model.chats.get(chatId);
    jump.hidden = atEnd && shown.pinned;
    jump.lastElementChild.textContent = unread > 0 ? String(unread) : '';
  }

  /** More on the side that the reader comes near to. */
  function extend() {
    const { messages, hasOlder } = conversation();
    const ahead = scroller.clientHeight * AHEAD;
    const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    const [start] = shown.range(messages);
    let moved = false;
    if (scroller.scrollTop < ahead && !(atEnd && scroller.scrollHeight <= scroller.clientHeight)) {
      moved = shown.up(messages);
      // Asked for before the last of them is on the page.
      if (start < 4 * STEP && hasOlder) onolder();
    } else if (below < ahead) {
      moved = shown.down(messages);
    }
    if (!moved) return;
    draw();
    takeAnchor();
    // At the very edge no scrolling would ask again.
    requestAnimationFrame(() => chatId && model.chats.has(chatId) && !atEnd && extend());
  }

  scroller.addEventListener('scroll', () => {
    if (!chatId || !model.chats.has(chatId)) return;
    const isNearEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    // Only who scrolls up leaves the end: a picture that has just grown the list has moved it away from nobody.
    atEnd = shown.pinned && (isNearEnd || (atEnd && scroller.scrollTop >= lastTop));
    if (!atEnd) shown.hold(conversation().messages);
    else shown.pin();
    lastTop = scroller.scrollTop;
    takeAnchor();
    extend();
    jump.hidden = atEnd && shown.pinned;
    onread();
  });
  // Pictures that finish loading, and a phone's keyboard, change heights under the reader.
  const resized = new ResizeObserver(settle);
  resized.observe(list);
  resized.observe(scroller);
  scroller.addEventListener('keydown', (event) => onKey(event));

  function onKey(event) {
    if (event.target.matches('input, textarea, video, button') && !['ArrowUp', 'ArrowDown'].includes(event.key)) return;
    const rows = [...list.querySelectorAll('.message')];
    const row = document.activeElement?.closest('.message');
    const at = rows.indexOf(row);
    const message = row && conversation().messages.find(({ _id }) => _id === row.dataset.id);
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === 'arrowup') (rows[at < 0 ? rows.length - 1 : at - 1] ?? row)?.focus();
    else if (key === 'arrowdown') rows[at + 1]?.focus();
    else if (key === 'end') toNewest();
    else if (key === 'r' && message && !message.isDeleted) actions.onreply(message);
    else if (key === 'delete' && message && isOwn(message) && !message.isDeleted) actions.ondelete(message);
    else if (key === 'enter' && row) row.querySelector('.media-button')?.click();
    else return;
    event.preventDefault();
  }

  return {
    element,
    open(nextChatId) {
      chatId = nextChatId;
      shown = new MessageWindow();
      atEnd = true;
      lastTop = 0;
      anchor = undefined;
      list.replaceChildren();
    },
    isAtEnd: () => atEnd && shown.pinned,
    toNewest() {
      atEnd = true;
      shown.pin();
    },
    /** To a message that is loaded. */
    show(messageId) {
      const { messages } = conversation();
      const index = messages.findIndex(({ _id }) => _id === messageId);
      atEnd = false;
      shown.around(messages, index);
      anchor = undefined;
      draw();
      const row = list.querySelector(`[data-id="${CSS.escape(messageId)}"]`);
      row?.scrollIntoView({ block: 'center', behavior: 'instant' });
      row?.focus({ preventScroll: true });
    },
    focusLast: () => [...list.querySelectorAll('.message')].at(-1)?.focus(),
    update() {
      draw();
      // Older messages may have come while the reader waits at the top.
      if (!atEnd) extend();
      const isTyping = model.isTyping(model.chats.get(chatId));
      if (typing.hidden === !isTyping) return;
      typing.hidden = !isTyping;
      typing.lastElementChild.textContent = isTyping ? t('typing.long', { name: model.chats.get(chatId).other.name }) : '';
      settle();
    },
  };
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
