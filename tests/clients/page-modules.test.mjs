// The demo page's modules that need no page: the packet codec, the client over long-polling, the model, the formats.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as format from '../../src/web/assets/format.js';
import english from '../../src/web/assets/strings-en.js';
import hindi from '../../src/web/assets/strings-hi.js';
import { bytes, niceTop, short } from '../../src/web/assets/plot.js';
import { personOf } from '../../src/web/assets/session.js';
import { STEP, WINDOW, MessageWindow } from '../../src/web/assets/window.js';
import { Model } from '../../src/web/assets/model.js';
import { PacketError, SOCKET, decodePacket, encodePacket, joinPayload, splitPayload } from '../../src/web/assets/packets.js';
import { Socket, reconnectDelay } from '../../src/web/assets/socketio.js';
import { pair } from './support/rest.mjs';
import { Server, mint } from './support/server.mjs';
import { ask, connected, next } from './support/sockets.mjs';

describe('packets', () => {
  const pairs = [
    [{ type: SOCKET.CONNECT, namespace: '/', id: undefined, data: { token: 'abc' } }, '0{"token":"abc"}'],
    [{ type: SOCKET.DISCONNECT, namespace: '/', id: undefined, data: undefined }, '1'],
    [{ type: SOCKET.EVENT, namespace: '/', id: undefined, data: ['typing', { isTyping: true }] }, '2["typing",{"isTyping":true}]'],
    [{ type: SOCKET.EVENT, namespace: '/', id: 12, data: ['नमस्ते', '\u001e'] }, '212["नमस्ते","\\u001e"]'],
    [{ type: SOCKET.ACK, namespace: '/', id: 0, data: [{ success: true }] }, '30[{"success":true}]'],
    [{ type: SOCKET.CONNECT_ERROR, namespace: '/admin', id: undefined, data: { message: 'Invalid namespace' } }, '4/admin,{"message":"Invalid namespace"}'],
  ];
  for (const [packet, text] of pairs) {
    test(`${text} is written and read`, () => {
      assert.equal(encodePacket(packet), text);
      assert.deepEqual(decodePacket(text), packet);
    });
  }

  test('a namespace may end the packet', () => {
    assert.deepEqual(decodePacket('1/admin'), { type: SOCKET.DISCONNECT, namespace: '/admin', id: undefined, data: undefined });
  });

  for (const text of ['', 'x', '7', '2', '2{}', '2[]', '2[1]', '2["a"', '2["a"]zzz', '3[1]', '31{}', '1{}', '0[]', '0"x"', '4', '51-["a"]', '299999999999999999999["a"]']) {
    test(`${JSON.stringify(text)} is refused`, () => assert.throws(() => decodePacket(text), PacketError));
  }

  test('a polling body is its packets joined by U+001E', () => {
    const packets = ['0{}', '2', `4${encodePacket({ type: SOCKET.EVENT, data: ['a', 'x\u001ey'] })}`];
    assert.deepEqual(splitPayload(joinPayload(packets)), packets);
  });
});

test('the backoff doubles up to ten seconds, with jitter around it', () => {
  assert.deepEqual([1, 2, 3, 5, 6, 60].map((attempt) => reconnectDelay(attempt, 0.5)), [500, 1000, 2000, 8000, 10_000, 10_000]);
  assert.deepEqual([reconnectDelay(1, 0), reconnectDelay(1, 0.999)], [250, 750]);
});

describe('the page\'s client under Node, over long-polling', { timeout: 600_000 }, () => {
  let server;
  const sockets = [];
  before(async () => (server = await Server.start()));
  after(async () => {
    sockets.forEach((socket) => socket.disconnect());
    await server?.stop();
  });

  const own = (token) => {
    const socket = new Socket({ base: server.url, auth: () => ({ token: token() }), transports: ['polling'] });
    sockets.push(socket);
    return socket;
  };
  const happens = (socket, event) => new Promise((resolve) => {
    const off = socket.on(event, (payload) => {
      off();
      resolve(payload);
    });
  });

  test('connects, asks, hears, and leaves so that the other side notices', async () => {
    const { one, two, chat } = await pair(server, 'own-client');
    const other = await connected(two);
    const socket = own(() => one.token);
    const ready = happens(socket, 'connect');
    socket.connect();
    await ready;
    assert.ok(socket.connected);
    const heard = next(other, 'newMessage');
    const answer = await socket.request('sendMessage', { chatId: chat._id, content: 'from the page\'s client' });
    assert.deepEqual([answer.success, (await heard)._id], [true, answer.data._id]);
    const reply = new Promise((resolve) => socket.on('newMessage', ({ content }) => content === 'heard' && resolve()));
    await ask(other, 'sendMessage', { chatId: chat._id, content: 'heard' });
    await reply;
    const left = next(other, 'userStatus', ({ userId, isOnline }) => userId === one.id && !isOnline);
    socket.disconnect();
    await left;
    await assert.rejects(socket.request('online'), { retryable: true });
    assert.equal(socket.emit('online'), false);
  });

  test('a refusal is told and not repeated; a better token helps', async () => {
    const { one } = await pair(server, 'own-refused');
    let token = 'bad';
    const socket = own(() => token);
    const refused = happens(socket, 'connect_error');
    socket.connect();
    const error = await refused;
    assert.deepEqual([error.message, error.refused, error.data.code], ['Authentication error', true, 'token_invalid']);
    token = one.token;
    const ready = happens(socket, 'connect');
    socket.connect();
    await ready;
  });

  test('a server that falls silent is noticed by its missing pings, and found again when it wakes', async () => {
    const sleepy = await Server.start('--ping-interval', '1000', '--ping-timeout', '2000');
    try {
      const { one } = await pair(sleepy, 'own-silent');
      const socket = new Socket({ base: sleepy.url, auth: () => ({ token: one.token }), transports: ['polling'] });
      sockets.push(socket);
      const ready = happens(socket, 'connect');
      socket.connect();
      await ready;
      const lost = happens(socket, 'disconnect');
      const again = happens(socket, 'connect');
      sleepy.suspend();
      assert.equal(await lost, 'ping timeout');
      sleepy.wake();
      await again;
      socket.disconnect();
    } finally {
      await sleepy.stop();
    }
  });

  test('a restart of the server is survived, and open questions are given back to be asked again', async () => {
    const restarted = await Server.start();
    try {
      const { one } = await pair(restarted, 'own-restart');
      const socket = new Socket({ base: restarted.url, auth: () => ({ token: one.token }), transports: ['polling'] });
      sockets.push(socket);
      const ready = happens(socket, 'connect');
      socket.connect();
      await ready;
      const lost = happens(socket, 'disconnect');
      const waiting = happens(socket, 'reconnecting');
      await restarted.kill('SIGKILL');
      await lost;
      assert.equal((await waiting).attempt, 1);
      await restarted.startAgain();
      const again = happens(socket, 'connect');
      await again;
      assert.equal((await socket.request('online')).success, true);
      socket.disconnect();
    } finally {
      await restarted.stop();
    }
  });
});

describe('the model', () => {
  const me = { _id: 'me', name: 'Me' };
  const you = { _id: 'you', name: 'You' };
  const chat = () => ({ _id: 'c', participants: [me, you], unreadCount: [{ userId: 'me', count: 2 }], blockedBy: [], lastMessage: null, createdAt: '2025-01-01T00:00:00.000Z' });
  const said = (seq, sender = you, more = {}) => ({ _id: `m${seq}`, chat: 'c', seq, sender, content: `text ${seq}`, messageType: 'text', status: 'sent', readBy: [], isDeleted: false, createdAt: `2025-01-01T00:00:0${seq}.000Z`, ...more });
  const filled = (...messages) => {
    const model = new Model(me, []);
    model.putChat(chat());
    model.conversation('c');
    model.putMessages(messages);
    return model;
  };
  const shown = (model) => model.conversation('c').messages.map(({ seq }) => seq);

  test('messages in any order, and twice, are in order and once', () => {
    const model = filled(said(3), said(1), said(2), said(3), said(1));
    assert.deepEqual(shown(model), [1, 2, 3]);
    assert.equal(model.chats.get('c').lastMessage.seq, 3);
  });

  test('a watermark raises my messages up to it, and a later copy does not lower them', () => {
    const model = filled(said(1, me), said(2, you), said(3, me), said(4, me));
    model.raiseStatus('c', 'm3', 'read');
    model.raiseStatus('c', 'm4', 'delivered');
    model.putMessage(said(1, me));
    assert.deepEqual(model.conversation('c').messages.map(({ status }) => status), ['read', 'sent', 'read', 'delivered']);
    assert.equal(model.chats.get('c').lastMessage.status, 'delivered');
  });

  test('a change of its people or pet keeps the rest of a chat', () => {
    const model = filled(said(1));
    const gone = { _id: 'you', name: 'Deleted user', isOnline: false };
    const petListing = { _id: 'p', title: 'Beagle', images: [], price: null, address: null, isRemoved: true };
    model.updateChat({ chatId: 'c', participants: [me, gone], petListing, isActive: false });
    model.updateChat({ chatId: 'unheard-of', participants: [me, gone], petListing: null, isActive: true });
    const { other, unread, lastMessage, isActive, petListing: shownPet } = model.chats.get('c');
    assert.deepEqual([other.name, unread, lastMessage._id, isActive, shownPet.isRemoved], ['Deleted user', 2, 'm1', false, true]);
    assert.deepEqual([model.presence.get('you').isOnline, model.chats.size], [false, 1]);
  });

  test('many are deleted at once', () => {
    const model = filled(said(1), said(2, me, { parentMessage: said(1) }), said(3));
    model.tombstones('c', ['m1', 'm3', 'not-loaded']);
    const messages = model.conversation('c').messages;
    assert.deepEqual(messages.map(({ isDeleted }) => isDeleted), [true, false, true]);
    assert.deepEqual([messages[1].parentMessage.isDeleted, model.chats.get('c').lastMessage.isDeleted], [true, true]);
  });

  test('what was deleted stays deleted when an older copy arrives', () => {
    const model = filled(said(1), said(2, me, { parentMessage: said(1) }));
    model.tombstones('c', ['m1']);
    model.putMessage(said(1));
    const [first, second] = model.conversation('c').messages;
    assert.deepEqual([first.isDeleted, first.content, second.parentMessage.isDeleted], [true, 'This message was deleted', true]);
  });

  test('a stored message takes the place of the one on its way', () => {
    const model = filled();
    model.pending.push({ chat: 'c', clientMessageId: 'x', sender: me, content: 'text 1', state: 'sending' });
    model.putMessage(said(1, you, { clientMessageId: 'x' }));
    assert.equal(model.pending.length, 1, 'an id of somebody else means nothing');
    model.putMessage(said(2, me, { clientMessageId: 'x' }));
    assert.deepEqual([model.pending.length, shown(model)], [0, [1, 2]]);
  });

  test('a page from before goes in front in one piece, and one that overlaps is merged', () => {
    const model = filled(said(7), said(8));
    model.putOlder('c', [said(4), said(5), said(6)]);
    model.putOlder('c', [said(3), said(4)]);
    assert.deepEqual(shown(model), [3, 4, 5, 6, 7, 8]);
  });

  test('a search needs every word, in whatever place', () => {
    const model = filled(said(1));
    model.putChat({ ...chat(), _id: 'd', participants: [me, { _id: 'x', name: 'Xenia' }], petListing: { title: 'Beagle', address: 'दिल्ली' } });
    const found = (text) => model.searchChats(text).map(({ _id }) => _id);
    assert.deepEqual([found('beagle XEN'), found('दिल्ली'), found('text 1'), found('beagle you'), found('').length], [['d'], ['d'], ['c'], [], 2]);
    model.tombstones('c', ['m1']);
    assert.deepEqual(found('text 1'), [], 'what was deleted is not found');
  });

  test('unread counts add up, and a message ends its sender\'s typing', () => {
    const model = filled();
    assert.equal(model.totalUnread(), 2);
    model.setUnread('c', 5);
    assert.equal(model.totalUnread(), 5);
    model.setTyping('c', 'you', true);
    assert.equal(model.isTyping(model.chats.get('c')), true);
    model.putMessage(said(1));
    assert.equal(model.isTyping(model.chats.get('c')), false);
  });
});

describe('the window over a long history', () => {
  const history = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => ({ seq: first + index }));

  test('shows the newest, whatever comes, until it is moved', () => {
    const view = new MessageWindow();
    assert.deepEqual(view.range([]), [0, 0]);
    assert.deepEqual(view.range(history(1, 50)), [0, 50]);
    assert.deepEqual(view.range(history(1, 1000)), [1000 - WINDOW, 1000]);
    assert.equal(view.down(history(1, 1000)), false);
  });

  test('stays at its messages when others come before and after them', () => {
    const view = new MessageWindow();
    assert.ok(view.up(history(501, 1000)));
    const [start, end] = view.range(history(501, 1000));
    assert.deepEqual([start, end], [500 - WINDOW - STEP, 500 - STEP]);
    const shown = history(501, 1000).slice(start, end).map(({ seq }) => seq);
    const grown = history(301, 1010);
    assert.deepEqual(grown.slice(...view.range(grown)).map(({ seq }) => seq), shown);
    view.pin();
    assert.equal(view.range(grown)[1], grown.length);
  });

  test('reaches both ends and goes no further', () => {
    const all = history(1, 500);
    const view = new MessageWindow();
    let steps = 0;
    while (view.up(all)) steps += 1;
    assert.deepEqual([view.range(all), view.pinned], [[0, WINDOW], false]);
    assert.equal(steps, Math.ceil((500 - WINDOW) / STEP));
    while (view.down(all)) assert.ok(view.range(all)[1] <= 500);
    assert.ok(view.pinned);
    view.around(all, 250);
    const [start, end] = view.range(all);
    assert.ok(start < 250 && 250 < end && end - start === WINDOW);
  });

  test('what somebody reads does not move when new messages come', () => {
    const view = new MessageWindow();
    view.hold(history(1, 100));
    assert.equal(view.range(history(1, 110))[0], 0);
  });
});

describe('words', () => {
  const holes = (entry) => [entry].flatMap((one) => (typeof one === 'string' ? [one] : Object.values(one))).map((text) => (text.match(/\{\w+\}/g) ?? []).sort().join());

  test('both tables have the same keys, and each text the same holes', () => {
    assert.deepEqual(Object.keys(hindi), Object.keys(english));
    for (const key of Object.keys(english)) assert.deepEqual(new Set(holes(hindi[key])), new Set(holes(english[key])), key);
  });
});

describe('the numbers of plots', () => {
  test('a scale ends at a round number', () => {
    assert.deepEqual([0, 0.4, 1, 3, 7, 12, 99, 101, 2500].map(niceTop), [1, 1, 1, 5, 10, 20, 100, 200, 5000]);
  });

  test('large numbers are short', () => {
    assert.deepEqual([0, 0.25, 999, 9999, 12_000, 1_250_000].map(short), ['0', '0.3', '999', '9999', '12k', '1.3M']);
    assert.deepEqual([0, 1023, 1024, 5 * 1024 ** 3].map(bytes), ['0 B', '1023 B', '1.0 KiB', '5.0 GiB']);
  });
});

test('a token says who somebody is, under any of the names a host may use', () => {
  const { token, ...person } = personOf(mint('tara', { name: 'तारा' }));
  assert.deepEqual(person, { _id: 'tara', name: 'तारा', profilePicture: undefined });
  assert.equal(personOf(mint(undefined, { name: 'Uma', sub: 'uma' }))._id, 'uma');
  for (const wrong of ['', 'x', 'a.b.c', null]) assert.equal(personOf(wrong), undefined);
});

describe('formats', () => {
  test('prices are grouped the Indian way', () => {
    assert.deepEqual([0, 1800, 125000, 12500000, null].map(format.price), ['Free', '₹1,800', '₹1,25,000', '₹1,25,00,000', '']);
  });

  test('days are named by how near they are', () => {
    const now = new Date(2025, 0, 20, 9, 0);
    const at = (day, hour = 23) => new Date(2025, 0, day, hour);
    assert.deepEqual([20, 19, 17, 5].map((date) => format.day(at(date, 1), now)), ['Today', 'Yesterday', 'Friday', '5 January 2025']);
    assert.deepEqual([19, 17, 5].map((date) => format.when(at(date), now)), ['Yesterday', 'Friday', '5 Jan']);
  });

  test('the larger share of the letters decides the language', () => {
    assert.deepEqual(['नमस्ते', 'Hello', 'हाँ, अभी है! ok', 'Perfect, ठीक है', '👍'].map(format.language), ['hi', 'en', 'hi', 'en', 'en']);
  });

  test('ages are in months, then in years', () => {
    assert.deepEqual([1, 8, 12, 14, 24].map(format.age), ['1 month', '8 months', '1 year', '1 year 2 mo', '2 years']);
  });

  test('one line says what a message is', () => {
    const line = (more) => format.preview({ messageType: 'text', content: 'words', isDeleted: false, ...more });
    assert.deepEqual([line({}), line({ messageType: 'image', content: 'Sent image' }), line({ messageType: 'video', content: 'look' }), format.preview(null)], ['words', '📷 Picture', '🎬 Video: look', 'Say hello']);
  });
});
