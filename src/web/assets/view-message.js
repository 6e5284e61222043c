/** One message: its words or picture, what it answers, its tick, and what can be done with it. */

import { fill, h, icon } from './dom.js';
import { clock, language, preview } from './format.js';

const TICKS = { sent: 'Sent', delivered: 'Delivered', read: 'Read', sending: 'Sending', failed: 'Not sent' };
const TICK_ICONS = { sent: 'sent', delivered: 'delivered', read: 'delivered', sending: 'clock', failed: 'warning' };

/** @param {'sent'|'delivered'|'read'|'sending'|'failed'} status */
export function tick(status) {
  return h('span', { class: `tick tick-${status}`, data: { testid: 'tick', status } }, icon(TICK_ICONS[status], TICKS[status]));
}

/**
 * @param {object} message a stored message or a pending one
 * @param {{onreply: Function, ondelete: Function, onretry: Function, ondiscard: Function, onjump: Function, onpicture: Function}} actions
 */
export function messageView(message, isOwn, actions) {
  const element = h('li', { class: `message ${isOwn ? 'is-own' : 'is-other'}`, tabIndex: -1, data: { testid: 'message', own: isOwn } });
  updateMessage(element, message, isOwn, actions);
  return element;
}

/** Rebuilds only what a change of the message touches: the body stays while ticks move. */
export function updateMessage(element, message, isOwn, actions) {
  if (message._id) element.dataset.id = message._id;
  element.dataset.seq = message.seq ?? '';
  element.classList.toggle('is-deleted', Boolean(message.isDeleted));
  element.classList.toggle('is-failed', message.state === 'failed');
  const bubble = element.querySelector('.bubble') ?? element.appendChild(h('div', { class: 'bubble' }, h('div', { class: 'body' }), h('div', { class: 'foot' })));
  const quoted = message.parentMessage;
  fill(bubble.querySelector('.body'), JSON.stringify([message.content, message.isDeleted, message.mediaUrl, quoted && preview(quoted)]), () => [
    quoted && !message.isDeleted && quote(quoted, actions),
    !message.isDeleted && mediaOf(message, actions),
    words(message),
  ]);
  const status = isOwn && !message.isDeleted && (message.state ?? message.status);
  fill(bubble.querySelector('.foot'), JSON.stringify([status, message.error, message.createdAt]), () => [
    message.state === 'failed' && failure(message, actions),
    h('time', { dateTime: message.createdAt }, clock(message.createdAt)),
    status && tick(status),
  ]);
  updateProgress(bubble, message);
  const canAct = message._id && !message.isDeleted;
  const bar = element.querySelector('.actions');
  if (canAct && !bar) element.append(actionBar(message, isOwn, actions));
  if (!canAct) bar?.remove();
}

function words(message) {
  const automatic = message.messageType !== 'text' && /^Sent (image|video)$/.test(message.content);
  if (automatic && !message.isDeleted) return null;
  if (!message.content) return null;
  return h('p', { class: 'words', dir: 'auto', lang: language(message.content) }, message.isDeleted && icon('block'), message.content);
}

function quote(parent, { onjump }) {
  return h('button', { class: 'quote', type: 'button', 'aria-label': `In answer to ${parent.sender.name}: ${preview(parent)}`, data: { testid: 'quote' }, on: { click: () => onjump(parent) } },
    h('span', { class: 'quote-name' }, parent.sender.name),
    h('span', { class: 'quote-text', lang: language(preview(parent)) }, preview(parent)));
}

function mediaOf(message, { onpicture }) {
  const url = message.previewUrl ?? (message.mediaUrl && `/uploads/chat_media/${encodeURIComponent(message.mediaUrl)}`);
  if (!url) return null;
  if (message.messageType === 'video') {
    return h('video', { class: 'media', src: url, controls: true, preload: 'metadata', 'aria-label': 'Video', data: { testid: 'media' } });
  }
  const { width, height } = message.media ?? {};
  const small = message.previewUrl ? url : thumbnail(url, message.media);
  const picture = h('img', { class: 'media', src: small, alt: message.content || 'Picture', width, height, data: { testid: 'media' } });
  // There is none of a picture that is very large.
  if (small !== url) picture.addEventListener('error', () => (picture.src = url), { once: true });
  return h('button', { class: 'media-button', type: 'button', 'aria-label': 'Show picture in full size', on: { click: () => onpicture(url, message.content) } }, picture);
}

/** The small copy of a picture that is wider than a bubble ever is. A GIF may move, and its copy does not. */
function thumbnail(url, { mimeType, width } = {}) {
  const can = ['image/jpeg', 'image/png', 'image/webp'].includes(mimeType);
  return can && width > 640 ? `${url}?w=640` : url;
}

function failure(message, { onretry, ondiscard }) {
  return h('span', { class: 'failure' },
    h('span', { class: 'failure-reason' }, message.error ?? 'Not sent'),
    h('button', { class: 'link-button', type: 'button', data: { testid: 'retry' }, on: { click: () => onretry(message) } }, 'Retry'),
    h('button', { class: 'link-button', type: 'button', data: { testid: 'discard' }, on: { click: () => ondiscard(message) } }, 'Discard'));
}

function updateProgress(bubble, message) {
  const wanted = message.file && message.state === 'sending';
  let bar = bubble.querySelector('progress');
  if (wanted && !bar) bubble.append((bar = h('progress', { max: 1, 'aria-label': 'Upload' })));
  if (wanted) bar.value = message.progress ?? 0;
  else bar?.remove();
}

function actionBar(message, isOwn, { onreply, ondelete }) {
  return h('div', { class: 'actions' },
    h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Reply', data: { testid: 'reply' }, on: { click: () => onreply(message) } }, icon('reply')),
    isOwn && h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Delete message', data: { testid: 'delete' }, on: { click: () => ondelete(message) } }, icon('trash')));
}
