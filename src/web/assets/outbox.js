/**
 * What this person has sent and the server has not confirmed. Every message carries a `clientMessageId`, so it can be
 * sent again after a lost connection without appearing twice. Owns the queue and its retries, nothing of the display.
 */

import { releasePreview } from './dom.js';
import { t } from './language.js';

/** Lost acks on a living connection before the sender is asked what to do. */
const ATTEMPTS = 3;

export class Outbox {
  #model;
  #socket;
  #api;
  #queue = [];
  #running = false;

  constructor(model, socket, api) {
    this.#model = model;
    this.#socket = socket;
    this.#api = api;
  }

  sendText(chatId, content, parentMessage) {
    const entry = this.#add({ chat: chatId, content, parentMessage, messageType: 'text' });
    this.#queue.push(entry);
    this.#run();
  }

  sendFile(chatId, file, caption) {
    const messageType = file.type.startsWith('video/') ? 'video' : 'image';
    const entry = this.#add({ chat: chatId, content: caption, messageType, file, previewUrl: URL.createObjectURL(file) });
    this.#upload(entry);
  }

  /** After a (re)connect: everything that waited goes out, in order. */
  flush() {
    this.#run();
    this.#model.pending.filter(({ waiting }) => waiting).forEach((entry) => this.#upload(entry));
  }

  retry(entry) {
    entry.state = 'sending';
    entry.attempts = 0;
    if (entry.file) this.#upload(entry);
    else {
      this.#queue.push(entry);
      this.#run();
    }
    this.#model.changed();
  }

  discard(entry) {
    entry.abort?.abort();
    this.#queue = this.#queue.filter((queued) => queued !== entry);
    this.#remove(entry);
  }

  #add(entry) {
    const createdAt = new Date().toISOString();
    const pending = { ...entry, clientMessageId: randomId(), sender: this.#model.me, state: 'sending', attempts: 0, createdAt };
    this.#model.pending.push(pending);
    this.#model.changed();
    return pending;
  }

  /** One text at a time: the order of writing is the order of arrival, also across a reconnect. */
  async #run() {
    if (this.#running) return;
    this.#running = true;
    while (this.#queue.length > 0 && this.#socket.connected) await this.#sendFirst();
    this.#running = false;
  }

  async #sendFirst() {
    const entry = this.#queue[0];
    const { chat, content, messageType, clientMessageId, parentMessage } = entry;
    const payload = { chatId: chat, content, messageType, clientMessageId, parentMessageId: parentMessage?._id ?? null };
    try {
      const answer = await this.#socket.request('sendMessage', payload);
      if (answer?.success) this.#model.putMessage(answer.data);
      else this.#fail(entry, answer?.message ?? t('message.notSent'));
    } catch (error) {
      entry.attempts += 1;
      if (!error.retryable || (this.#socket.connected && entry.attempts >= ATTEMPTS)) this.#fail(entry, t('message.noAnswer'));
      else return;
    }
    this.#queue = this.#queue.filter((queued) => queued !== entry);
  }

  async #upload(entry) {
    entry.waiting = false;
    entry.progress = 0;
    entry.abort = new AbortController();
    const { chat, file, content: caption, clientMessageId } = entry;
    const onprogress = (progress) => {
      entry.progress = progress;
      this.#model.changed();
    };
    try {
      const message = await this.#api.sendMedia(chat, { file, caption, clientMessageId, onprogress, signal: entry.abort.signal });
      this.#remove(entry);
      this.#model.putMessage(message);
    } catch (error) {
      if (entry.abort.signal.aborted) return;
      // Without a connection it waits for the next one; a refusal needs a decision.
      entry.waiting = error.status === 0;
      if (!entry.waiting) this.#fail(entry, error.message);
      this.#model.changed();
    }
  }

  #fail(entry, reason) {
    entry.state = 'failed';
    entry.error = reason;
    this.#model.changed();
  }

  #remove(entry) {
    releasePreview(entry.previewUrl);
    this.#model.pending = this.#model.pending.filter((pending) => pending !== entry);
    this.#model.changed();
  }
}

/** 128 random bits. `crypto.randomUUID` exists only on https and localhost, and a phone may come by address. */
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
