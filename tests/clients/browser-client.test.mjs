// The unmodified socket.io-client in a real Chromium, on a page from another origin that `--cors-origin` allows.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, openPage } from './support/browser.mjs';
import { pair } from './support/rest.mjs';
import { Server } from './support/server.mjs';
import { TRANSPORT_SETTINGS, connected, next } from './support/sockets.mjs';

const CLIENT = fileURLToPath(new URL('./node_modules/socket.io-client/dist/socket.io.js', import.meta.url));
const PAGE = '<!doctype html><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,"><script src="/socket.io.js"></script>';

let app;
let origin;
let server;
let browser;
before(async () => {
  const client = await readFile(CLIENT);
  app = createServer((request, response) => {
    const isScript = request.url === '/socket.io.js';
    response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' });
    response.end(isScript ? client : PAGE);
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  origin = `http://127.0.0.1:${app.address().port}`;
  server = await Server.start('--cors-origin', origin);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  app?.close();
});

/** Runs in the page: connects, joins, sends with an ack, and waits for an answer from the other side. */
async function converse({ url, token, chatId, options }) {
  const socket = window.io(url, { auth: { token }, forceNew: true, ...options });
  const upgraded = new Promise((resolve) => socket.io.on('open', () => socket.io.engine.once('upgrade', resolve)));
  await new Promise((resolve, reject) => {
    socket.on('connect', resolve);
    socket.on('connect_error', reject);
  });
  socket.emit('online');
  const joined = await socket.emitWithAck('join-chat', { chatId });
  const answer = new Promise((resolve) => socket.on('newMessage', (message) => message.content === 'answer' && resolve(message)));
  const sent = await socket.emitWithAck('sendMessage', { chatId, content: 'नमस्ते from the browser', messageType: 'text' });
  const { content } = await answer;
  if (!options.transports) await upgraded;
  const transport = socket.io.engine.transport.name;
  socket.disconnect();
  return { joined: joined.success, sent: sent.data.content, answered: content, transport };
}

describe('socket.io-client in Chromium', { timeout: 600_000 }, () => {
  const expected = { 'the default': 'websocket', 'polling alone': 'polling', 'websocket alone': 'websocket', 'websocket, then polling': 'websocket' };
  for (const [setting, options] of Object.entries(TRANSPORT_SETTINGS)) {
    test(`talks over ${setting}`, async () => {
      const { one, two, chat } = await pair(server, `chromium-${expected[setting]}-${Object.keys(TRANSPORT_SETTINGS).indexOf(setting)}`);
      const other = await connected(two);
      const asked = next(other, 'newMessage');
      const page = await openPage(browser);
      await page.goto(origin);
      const conversation = page.evaluate(converse, { url: server.url, token: one.token, chatId: chat._id, options });
      await Promise.all([conversation, asked.then(() => other.emit('sendMessage', { chatId: chat._id, content: 'answer' }))]);
      assert.deepEqual(await conversation, { joined: true, sent: 'नमस्ते from the browser', answered: 'answer', transport: expected[setting] });
      assert.deepEqual(page.faults, []);
      await page.context().close();
    });
  }

  test('REST calls pass the preflight, with a token and a socket id', async () => {
    const { one, chat } = await pair(server, 'chromium-rest');
    const page = await openPage(browser);
    await page.goto(origin);
    const status = await page.evaluate(async ({ url, token, chatId }) => {
      const response = await fetch(`${url}/api/chat/${chatId}/send`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'X-Socket-Id': 'any' },
        body: JSON.stringify({ content: 'cross origin' }),
      });
      return response.status;
    }, { url: server.url, token: one.token, chatId: chat._id });
    assert.equal(status, 201);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test('a page from an origin that is not allowed gets nothing, over any transport', async () => {
    const { one } = await pair(server, 'chromium-foreign');
    const page = await openPage(browser);
    // The same page by another name is another origin.
    await page.goto(origin.replace('127.0.0.1', 'localhost'));
    for (const options of [{ transports: ['polling'] }, { transports: ['websocket'] }]) {
      const outcome = await page.evaluate(({ url, token, options }) => new Promise((resolve) => {
        const socket = window.io(url, { auth: { token }, forceNew: true, reconnection: false, ...options });
        socket.on('connect', () => resolve('connected'));
        socket.on('connect_error', ({ message }) => resolve(message));
      }), { url: server.url, token: one.token, options });
      assert.match(outcome, /^(xhr poll|websocket) error$/);
    }
    const fetched = await page.evaluate((url) => fetch(`${url}/api/chat/my-chats`).then(() => 'answered', () => 'refused'), server.url);
    assert.equal(fetched, 'refused');
    await page.context().close();
  });
});
