// The snippets that are more than calls, as the documentation gives them: rendered by React, run by Jest, typed into a shell.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { React, documented, evaluate, render } from './support/react.mjs';
import { Person, demoPerson, pair } from './support/rest.mjs';
import { Server } from './support/server.mjs';
import { ask, connected, next } from './support/sockets.mjs';

const { createElement, useEffect, useState } = React;
const patience = { timeout: 600_000 };

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

test('ChatListItem shows the other person, the pet, the last message and the badge', patience, async () => {
  const buyer = new Person(server, 'component-buyer');
  const { _id } = await buyer.post('/create', { petId: 'pet-beagle' });
  const seller = await demoPerson(server, 'user-kabir');
  await seller.post(`/${_id}/send`, { content: 'Ask me anything' });
  const formatTime = (time) => new Date(time).toISOString();
  const ChatListItem = await evaluate(await documented('ChatListItem.jsx'), { currentUserId: buyer.id, formatTime }, 'ChatListItem');

  const chatOf = async () => (await buyer.get('/my-chats')).chats[0];
  const chat = await chatOf();
  const shown = render(createElement(ChatListItem, { chat }));
  assert.equal(shown.text(), `Kabir Beagle, eight months ₹ 18500 Ask me anything ${chat.lastMessage.createdAt} 1`);
  assert.deepEqual(shown.root.findAllByType('img').map(({ props }) => props.src), ['/demo/assets/pictures/avatar-kabir.svg', '/demo/assets/pictures/pet-beagle.svg']);

  await buyer.put(`/${_id}/mark-read`);
  const read = render(createElement(ChatListItem, { chat: await chatOf() }));
  assert.deepEqual(read.root.findAllByProps({ className: 'unread-badge' }), []);

  const { one, two, chat: direct } = await pair(server, 'component-direct');
  const listItem = await evaluate(await documented('ChatListItem.jsx'), { currentUserId: two.id, formatTime }, 'ChatListItem');
  const plain = render(createElement(listItem, { chat: direct }));
  assert.deepEqual(plain.root.findAllByProps({ className: 'pet-context' }), [], 'no pet, and no error for want of one');
  assert.ok(plain.text().startsWith(one.id));
});

test('two ChatScreens talk to each other: text, typing on focus and blur, and silence after leaving', patience, async () => {
  const { one, two, chat } = await pair(server, 'component-screen');
  const MessageBubble = ({ message }) => createElement('p', { className: 'bubble' }, `${message.sender.name}: ${message.content}`);
  const TypingIndicator = () => createElement('p', { className: 'typing' }, 'typing');
  const source = await documented('ChatScreen.jsx');
  const open = async (person) => {
    const socket = await connected(person);
    const globals = { useEffect, useState, socket, currentUserId: person.id, MessageBubble, TypingIndicator };
    const ChatScreen = await evaluate(source, globals, 'ChatScreen');
    const screen = render(createElement(ChatScreen, { chatId: chat._id }));
    // Once something asked later is answered, it has joined.
    await ask(socket, 'online');
    return { ...screen, socket };
  };
  const [mine, theirs] = [await open(one), await open(two)];
  const input = () => mine.root.findByType('input').props;

  input().onFocus();
  await theirs.until((root) => root.findAllByProps({ className: 'typing' }).length > 0);
  input().onChange({ target: { value: 'कब देख सकते हैं?' } });
  await mine.until(() => input().value === 'कब देख सकते हैं?');
  mine.root.findByType('button').props.onClick();
  const bubbles = (root) => root.findAllByProps({ className: 'bubble' }).map(({ children }) => children[0]);
  for (const screen of [mine, theirs]) await screen.until((root) => bubbles(root).includes(`${one.id}: कब देख सकते हैं?`));
  assert.equal(input().value, '');
  input().onBlur();
  await theirs.until((root) => root.findAllByProps({ className: 'typing' }).length === 0);
  assert.deepEqual(mine.root.findAllByProps({ className: 'typing' }), [], 'nobody is told of their own typing');

  theirs.unmount();
  assert.equal(theirs.socket.hasListeners('newMessage'), false);
  mine.unmount();
});

test('the useSocket hook in React: connected and online while mounted, offline after', patience, async () => {
  const { one, two } = await pair(server, 'component-hook');
  const watcher = await connected(two);
  const { useSocket } = await evaluate(await documented('useSocket.js', { 'https://api.jivbook.com': server.url }), {});
  const came = next(watcher, 'userStatus', ({ userId, isOnline }) => userId === one.id && isOnline);
  const Status = ({ token }) => createElement('p', {}, useSocket(token).isConnected ? 'connected' : 'connecting');
  const shown = render(createElement(Status, { token: one.token }));
  await shown.until(() => shown.text() === 'connected');
  await came;
  const left = next(watcher, 'userStatus', ({ userId, isOnline }) => userId === one.id && !isOnline);
  shown.unmount();
  await left;
});

test('the push hook: a notification in the background, the screen in the foreground', patience, async () => {
  const { one, two, chat } = await pair(server, 'component-push');
  const socket = await connected(two);
  const AppState = { currentState: 'background' };
  const told = [];
  let heard;
  const Notifications = { scheduleNotificationAsync: async (notification) => heard(told.push(['push', notification])) };
  const updateChatMessages = (message) => heard(told.push(['screen', message]));
  await evaluate(await documented('push.js'), { socket, AppState, Notifications, updateChatMessages });
  const say = async (content) => {
    const arrived = new Promise((resolve) => (heard = resolve));
    const message = await one.post(`/${chat._id}/send`, { content });
    await arrived;
    return message;
  };
  const ring = await say('ring');
  const content = { title: one.id, body: 'ring', data: { chatId: chat._id, messageId: ring._id } };
  assert.deepEqual(told, [['push', { content, trigger: null }]]);
  AppState.currentState = 'active';
  const seen = await say('seen');
  assert.deepEqual([told.length, told[1][0], told[1][1]._id], [2, 'screen', seen._id]);
});

test('the socket test of the documentation passes under Jest', patience, async () => {
  const { one, chat } = await pair(server, 'component-jest');
  const replaced = { 'http://localhost:3010': server.url, 'valid-jwt-token': one.token, 'test-chat-id': chat._id };
  const text = await documented('chat-socket.jest.cjs', replaced);
  // Where `require` finds the client, and nobody takes it for a test of ours.
  const modules = fileURLToPath(new URL('./node_modules/', import.meta.url));
  const place = await mkdtemp(join(modules, '.jest-'));
  try {
    await writeFile(join(place, 'chat.test.cjs'), text);
    const config = { rootDir: place, testMatch: ['**/*.test.cjs'], testPathIgnorePatterns: [], transform: {}, haste: { retainAllFiles: true }, watchman: false };
    const jest = spawn('node', [join(modules, 'jest', 'bin', 'jest.js'), '--ci', '--runInBand', '--config', JSON.stringify(config)]);
    let output = '';
    for (const stream of [jest.stdout, jest.stderr]) stream.on('data', (piece) => (output += piece));
    const [code] = await once(jest, 'exit');
    assert.equal(code, 0, output);
    assert.match(output, /should send and receive message/);
    assert.match(output, /1 passed/);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
  const { messages } = await one.get(`/${chat._id}/messages`);
  assert.deepEqual(messages.map(({ content }) => content), ['Hello from test']);
});

test('the curl lines of the documentation, in a shell', patience, async () => {
  const buyer = new Person(server, 'component-curl');
  const script = async (replacements) => {
    const text = await documented('endpoints.sh', { 'http://localhost:3010': server.url, '<jwt-token>': buyer.token, ...replacements });
    const { stdout } = await promisify(execFile)('bash', ['-euc', text.replaceAll('curl ', 'curl -s -w "\\n" ')]);
    return stdout.trim().split('\n').map((line) => JSON.parse(line));
  };
  const ids = { user_id: 'user-kabir', pet_id: 'pet-beagle' };
  // Sending to the placeholder shows that it is one; then the chat's own id is known.
  const [created, refused] = await script(ids);
  assert.deepEqual([created.success, created.message, refused.error], [true, 'Chat created successfully', 'invalid_id']);
  const [found, sent] = await script({ ...ids, chat_id: created.data._id });
  assert.deepEqual([found.message, found.data._id], ['Chat retrieved successfully', created.data._id]);
  assert.deepEqual([sent.message, sent.data.content, sent.data.sender._id], ['Message sent successfully', 'Test message', buyer.id]);
});
