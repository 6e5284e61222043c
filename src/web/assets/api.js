/** The REST calls of the chat, and the demo's own session file. Knows the envelope and the routes, nothing of the page. */

import { exchange } from './envelope.js';
import { t } from './language.js';

/** An answer with `success: false`, or none at all (`status` 0). `error` is the server's stable code. */
export class ApiError extends Error {
  name = 'ApiError';

  constructor(message, status, error) {
    super(message);
    this.status = status;
    this.error = error;
  }

  /** Whether the same request may succeed later without being changed. */
  get retryable() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** @returns {Promise<{users: object[], pets: object[]}>} the demo's people, each with a token, and pets; nobody without a demo */
export async function demoSession() {
  const response = await fetch('/demo/session.json', { cache: 'no-store' });
  if (!response.ok) throw new ApiError(t('error.demo'), response.status);
  return response.json();
}

export class Api {
  #token;

  /** @param {() => string} token asked for every call, because a token may be renewed */
  constructor(token) {
    this.#token = token;
  }

  createChat(participantId, petId) {
    return this.#call('POST', '/create', { participantId, petId });
  }

  myChats(page = 1) {
    return this.#call('GET', `/my-chats?page=${page}&limit=100`);
  }

  /** @param {{before?: string, after?: string, limit?: number}} cursor */
  messages(chatId, cursor = {}) {
    return this.#call('GET', `/${chatId}/messages?${new URLSearchParams({ limit: 50, ...cursor })}`);
  }

  deleteMessage(messageId) {
    return this.#call('DELETE', `/message/${messageId}`);
  }

  toggleBlock(chatId) {
    return this.#call('PUT', `/${chatId}/toggle-block`);
  }

  /** Everybody this person has blocked: `{_id, name, profilePicture?, blockedAt}`. */
  async blockedUsers() {
    return (await this.#call('GET', '/blocked-users')).users;
  }

  setUserBlocked(userId, isBlocked) {
    return this.#call(isBlocked ? 'PUT' : 'DELETE', `/block-user/${encodeURIComponent(userId)}`);
  }

  /** @param {{chatId?: string, messageId?: string, userId?: string, reason: string, text: string}} report about one of the three */
  report(report) {
    return this.#call('POST', '/report', report);
  }

  /** XMLHttpRequest, because fetch does not tell how much of a body has been sent. */
  sendMedia(chatId, { file, caption, clientMessageId, onprogress, signal }) {
    const form = new FormData();
    if (caption) form.append('content', caption);
    form.append('media', file);
    const request = new XMLHttpRequest();
    request.open('POST', `/api/chat/${chatId}/send-media`);
    request.setRequestHeader('Authorization', `Bearer ${this.#token()}`);
    // Makes a retry after a lost answer return the stored message instead of a second one.
    request.setRequestHeader('Idempotency-Key', clientMessageId);
    request.upload.onprogress = ({ loaded, total }) => onprogress(loaded / total);
    signal?.addEventListener('abort', () => request.abort());
    return new Promise((resolve, reject) => {
      request.onabort = () => reject(new ApiError('', -1));
      request.onerror = () => reject(new ApiError(t('error.noConnection'), 0));
      request.onload = () => {
        try {
          resolve(unwrap(request.status, JSON.parse(request.responseText)));
        } catch (error) {
          reject(error instanceof ApiError ? error : new ApiError(t('error.unreadable'), request.status));
        }
      };
      request.send(form);
    });
  }

  async #call(method, path, body) {
    const { status, answer } = await exchange(`/api/chat${path}`, { method, headers: { Authorization: `Bearer ${this.#token()}` }, body });
    if (status === 0) throw new ApiError(t('error.noConnection'), 0);
    return unwrap(status, answer);
  }
}

function unwrap(status, envelope) {
  if (envelope.success) return envelope.data;
  throw new ApiError(envelope.message ?? t('error.status', { status }), status, envelope.error);
}
