// The examples, run as they are. Their dependencies are this folder's: each is copied to a place that finds them.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { miniReact } from './support/mini-react.mjs';
import { pair } from './support/rest.mjs';
import { Server } from './support/server.mjs';
import { ask, connected, next } from './support/sockets.mjs';

const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));
const patience = { timeout: 600_000 };

let server;
let place;
before(async () => {
  server = await Server.start();
  place = await mkdtemp(fileURLToPath(new URL('./node_modules/.example-', import.meta.url)));
  for (const example of ['node', 'react']) await cp(join(EXAMPLES, example), join(place, example), { recursive: true });
});
after(async () => {
  if (place) await rm(place, { recursive: true, force: true });
  await server?.stop();
});

test('examples/node prints the conversation and ends', patience, async () => {
  const { stdout, stderr } = await promisify(execFile)('node', [join(place, 'node', 'chat.mjs'), server.url]);
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'Rohan asks Lakshmi about: Cockatiel that whistles, ₹4500, Chennai',
    'Lakshmi ← Rohan: Hello! Is the cockatiel still available?',
    'Rohan  ← Lakshmi: हाँ! He whistles while you decide.',
    'Lakshmi ← Rohan: Then I have decided. मैं कल आता हूँ।',
  ]);
});

test('the client in the README hears what it sends, and knows that it is stored', patience, async () => {
  const { one, chat } = await pair(server, 'readme');
  const [, snippet] = /```js\n(.*?)```/s.exec(await readFile(README, 'utf8'));
  const file = join(place, 'readme.mjs');
  const given = `const [token, chatId] = ${JSON.stringify([one.token, chat._id])};\n`;
  await writeFile(file, given + snippet.replace('http://localhost:3010', server.url));
  // It listens for ever.
  const child = spawn('node', [file], { stdio: ['ignore', 'pipe', 'inherit'], signal: AbortSignal.timeout(60_000) });
  const ended = once(child, 'exit');
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === 2) child.kill();
  }
  await ended;
  const [stored] = (await one.get(`/${chat._id}/messages`)).messages;
  assert.deepEqual(lines.sort(), [`${stored.sender.name} Namaste!`, `true ${stored._id}`].sort());
});

test('examples/node says in one line that nobody answers', patience, async () => {
  // Taken by nobody, and by nobody else while this runs: port 1 needs root and a service that nobody has.
  const failed = await promisify(execFile)('node', [join(place, 'node', 'chat.mjs'), 'http://127.0.0.1:1']).catch((error) => error);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^no server answers at http:\/\/127\.0\.0\.1:1.*\n$/);
});

test('the hooks of examples/react hold a conversation, also across a restart', patience, async () => {
  const own = await Server.start();
  const react = miniReact();
  try {
    const { useSocket, useChat } = await importHooks(react);
    const { one, two, chat } = await pair(own, 'react-example');
    const other = await connected(two);
    await ask(other, 'join-chat', { chatId: chat._id });
    await ask(other, 'sendMessage', { chatId: chat._id, content: 'before you came' });

    let refusals = 1;
    // The first token is no good: the hook has to ask for another.
    const getToken = async () => (refusals-- > 0 ? 'stale' : one.token);
    const get = (path) => one.get(path);
    const unmount = react.mount(() => {
      const connection = useSocket(own.url, getToken);
      return { ...connection, ...useChat({ ...connection, get, chatId: chat._id, userId: one.id }) };
    });
    const contents = ({ messages }) => messages.map(({ content }) => content).join(' | ');
    const read = next(other, 'messageRead', ({ userId }) => userId === one.id);
    await react.until((chatState) => contents(chatState) === 'before you came');
    await read;

    const typing = next(other, 'typing', ({ isTyping }) => isTyping);
    react.result().setTyping(true);
    await typing;
    other.emit('typing', { chatId: chat._id, isTyping: true });
    await react.until(({ isOtherTyping }) => isOtherTyping);

    await react.result().send('here I am');
    await ask(other, 'markAsRead', { chatId: chat._id, messageId: react.result().messages.at(-1)._id });
    await react.until(({ messages }) => messages.at(-1).status === 'read');
    await assert.rejects(react.result().send('   '), { message: 'Message content cannot be empty' });

    await own.kill('SIGKILL');
    await react.until(({ isConnected }) => !isConnected);
    await own.startAgain();
    await two.post(`/${chat._id}/send`, { content: 'while you were away' });
    await react.until((chatState) => contents(chatState) === 'before you came | here I am | while you were away');
    unmount();
  } finally {
    await own.stop();
  }
});

/** Imports the example's hooks with a `react` beside them that is the stand-in. */
async function importHooks(react) {
  globalThis.standInForReact = react;
  const folder = join(place, 'react');
  await mkdir(join(folder, 'node_modules', 'react'), { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'node_modules', 'react', 'package.json'), '{ "type": "module", "main": "index.js" }');
  await writeFile(join(folder, 'node_modules', 'react', 'index.js'), 'export const { useCallback, useEffect, useRef, useState } = globalThis.standInForReact;');
  const [{ useSocket }, { useChat }] = await Promise.all(['useSocket.js', 'useChat.js'].map((file) => import(pathToFileURL(join(folder, file)))));
  return { useSocket, useChat };
}
