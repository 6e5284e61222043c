// REST calls as one person, checked against the envelope that every answer has.

import assert from 'node:assert/strict';
import { mint } from './server.mjs';

export class Person {
  /** @param {Server} server @param {string} id @param {string} [token] */
  constructor(server, id, token = mint(id)) {
    Object.assign(this, { server, id, token });
  }

  /** @returns {Promise<{status: number, success: boolean, message: string, data: any, error?: string}>} */
  async call(method, path, body, headers = {}) {
    const isForm = body instanceof FormData;
    const response = await fetch(`${this.server.url}/api/chat${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, ...(body && !isForm && { 'Content-Type': 'application/json' }), ...headers },
      body: body && !isForm ? JSON.stringify(body) : body,
    });
    const envelope = await response.json();
    assert.equal(typeof envelope.success, 'boolean');
    assert.equal(typeof envelope.message, 'string');
    assert.equal(envelope.success, response.ok);
    return { status: response.status, ...envelope };
  }

  /** A call that must succeed; gives its data. */
  async get(path) {
    return this.#succeed(await this.call('GET', path));
  }

  async post(path, body, headers) {
    return this.#succeed(await this.call('POST', path, body, headers));
  }

  async put(path) {
    return this.#succeed(await this.call('PUT', path));
  }

  #succeed(answer) {
    assert.ok(answer.success, `${answer.status} ${answer.message}`);
    return answer.data;
  }
}

/** Somebody of the demo, with the token the server made for them. */
export async function demoPerson(server, id) {
  const { users } = await (await fetch(`${server.url}/demo/session.json`)).json();
  return new Person(server, id, users.find(({ _id }) => _id === id).token);
}

/** Two fresh people who have a direct chat. */
export async function pair(server, name) {
  const one = new Person(server, `${name}-one`);
  const two = new Person(server, `${name}-two`);
  // A user is known from the first signed token on; the other side of a chat must be known.
  await two.get('/my-chats');
  const chat = await one.post('/create', { participantId: two.id });
  return { one, two, chat };
}

/** A small valid PNG: 8 by 8 pixels of one colour. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGN4VGuFFTEMLQkAHiBmQW4oiMQAAAAASUVORK5CYII=',
  'base64',
);

/** A form as a browser sends it. */
export function mediaForm(bytes, { name = 'picture.png', type = 'image/png', caption } = {}) {
  const form = new FormData();
  form.append('media', new Blob([bytes], { type }), name);
  if (caption) form.append('content', caption);
  return form;
}
