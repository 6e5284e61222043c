/** One message: its words or picture, what it answers, its tick, and what can be done with it. */

import { fill, h, icon } from './dom.js';
import { clock, language, preview } from './format.js';
import { t } from './language.js';

const TICK_ICONS = { sent: 'sent', delivered: 'delivered', read: 'delivered', sending: 'clock', failed: 'warning' };

/** @param {'sent'|'delivered'|'read'|'sending'|'failed'} status */
export function tick(status) {
  return h('span', { class: `tick tick-${status}`, data: { testid: 'tick', status } }, icon(TICK_ICONS[status], t(`tick.${status}`)));
}

/**
 * @param {object} message a stored message or a pending one
 * @param {{onreply: Function, ondelete: Function, onreport: Function, onretry: Function, ondiscard: Function, onjump: Function, onpicture: Function}} actions
 */
export function messageView(message, isOwn, actions) {
  const element = h('li', { class: `message ${isOwn ? 'is-own' : 'is-other'}`, tabIndex: -1, data: { testid: 'message', own: isOwn } });
  // Made when they are wanted: most messages are only read.
  const offer = () => {
    if (element.actable && !element.querySelector('.actions')) element.append(actionBar(element.actable, isOwn, actions));
  };
  element.addEventListener('pointerenter', offer);
  element.addEventListener('focusin', offer);
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
  updateProgress(bubble, message, actions);
  element.actable = message._id && !message.isDeleted ? message : undefined;
  if (!element.actable) element.querySelector('.actions')?.remove();
}

function words(message) {
  if (!message.isDeleted && !captionOf(message)) return null;
  if (message.isDeleted) return h('p', { class: 'words' }, icon('block'), t('message.deleted'));
  return h('p', { class: 'words', dir: 'auto', lang: language(message.content) }, message.content);
}

/** What somebody wrote; the server's own words for a picture without any are none. */
export function captionOf({ messageType, content }) {
  return messageType !== 'text' && /^Sent (image|video)$/.test(content) ? '' : content;
}

function quote(parent, { onjump }) {
  return h('button', { class: 'quote', type: 'button', data: { testid: 'quote' }, on: { click: () => onjump(parent) } },
    h('span', { class: 'visually-hidden' }, `${t('message.inAnswer')} `),
    h('span', { class: 'quote-name' }, parent.sender.name),
    h('span', { class: 'quote-text', lang: language(preview(parent)) }, preview(parent)));
}

function mediaOf(message, { onpicture }) {
  const url = message.previewUrl ?? (message.mediaUrl && `/uploads/chat_media/${encodeURIComponent(message.mediaUrl)}`);
  if (!url) return null;
  if (message.messageType === 'video') {
    return h('video', { class: 'media', src: url, controls: true, preload: 'metadata', 'aria-label': t('message.video'), data: { testid: 'media' } });
  }
  const { width, height } = message.media ?? {};
  const small = message.previewUrl ? url : thumbnail(url, message.media);
  const picture = h('img', { class: 'media', src: small, alt: captionOf(message) || t('message.picture'), width, height, data: { testid: 'media' } });
  // There is none of a picture that is very large.
  if (small !== url) picture.addEventListener('error', () => (picture.src = url), { once: true });
  return h('button', { class: 'media-button', type: 'button', 'aria-label': t('message.fullSize'), on: { click: () => onpicture(message) } }, picture);
}

/** The small copy of a picture that is wider than a bubble ever is. A GIF may move, and its copy does not. */
function thumbnail(url, { mimeType, width } = {}) {
  const can = ['image/jpeg', 'image/png', 'image/webp'].includes(mimeType);
  return can && width > 640 ? `${url}?w=640` : url;
}

function failure(message, { onretry, ondiscard }) {
  return h('span', { class: 'failure' },
    h('span', { class: 'failure-reason' }, message.error ?? t('message.notSent')),
    h('button', { class: 'link-button', type: 'button', data: { testid: 'retry' }, on: { click: () => onretry(message) } }, t('message.retry')),
    h('button', { class: 'link-button', type: 'button', data: { testid: 'discard' }, on: { click: () => ondiscard(message) } }, t('message.discard')));
}

/** How much of a file has been sent, and the way to stop it. */
function updateProgress(bubble, message, { ondiscard }) {
  const isWanted = message.file && message.state === 'sending';
  let row = bubble.querySelector('.upload');
  if (!isWanted) {
    row?.remove();
    return;
  }
  if (!row) {
    row = h('div', { class: 'upload', data: { testid: 'upload' } },
      h('progress', { max: 1, 'aria-label': t('message.upload') }),
      h('span', { class: 'upload-percent' }),
      h('button', { class: 'link-button', type: 'button', data: { testid: 'cancel-upload' }, on: { click: () => ondiscard(message) } }, t('message.cancel')));
    bubble.append(row);
  }
  const progress = message.progress ?? 0;
  row.querySelector('progress').value = progress;
  row.querySelector('.upload-percent').textContent = message.waiting ? t('message.waiting') : t('message.progress', { percent: Math.floor(progress * 100) });
}

function actionBar(message, isOwn, { onreply, ondelete, onreport }) {
  return h('div', { class: 'actions' },
    h('button', { class: 'icon-button', type: 'button', 'aria-label': t('message.reply'), title: t('message.reply'), data: { testid: 'reply' }, on: { click: () => onreply(message) } }, icon('reply')),
    isOwn && h('button', { class: 'icon-button', type: 'button', 'aria-label': t('message.delete'), title: t('message.delete'), data: { testid: 'delete' }, on: { click: () => ondelete(message) } }, icon('trash')),
    !isOwn && h('button', { class: 'icon-button', type: 'button', 'aria-label': t('message.report'), title: t('message.report'), data: { testid: 'report' }, on: { click: () => onreport(message) } }, icon('flag')));
}
