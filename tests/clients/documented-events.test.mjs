// The socket events of the documentation, with the unmodified socket.io-client over every transport setting.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Person, pair } from './support/rest.mjs';
import { Server, mint } from './support/server.mjs';
import { TRANSPORT_SETTINGS, ask, connected, next, record, socketFor } from './support/sockets.mjs';

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

for (const [setting, options] of Object.entries(TRANSPORT_SETTINGS)) {
  describe(`over ${setting}`, { timeout: 600_000 }, () => {
    const name = setting.replaceAll(/[^a-z]/g, '');

    /** Two people with a chat, both connected and in its room. */
    async function meeting(topic) {
      const people = await pair(server, `${name}-${topic}`);
      const sockets = await Promise.all([connected(people.one, options), connected(people.two, options)]);
      for (const socket of sockets) assert.ok((await ask(socket, 'join-chat', { chatId: people.chat._id })).success);
      return { ...people, chatId: people.chat._id, first: sockets[0], second: sockets[1] };
    }

    test('a token opens the door, and `online` is answered', async () => {
      const socket = await connected(new Person(server, `${name}-guest`), options);
      assert.match(socket.id, /^.{8,}$/);
      assert.equal((await ask(socket, 'online')).success, true);
    });

    test('a bad token is refused as `Authentication error`, and the refresh of the documentation reconnects', async () => {
      const person = new Person(server, `${name}-refreshed`);
      const socket = socketFor(person, { ...options, auth: { token: 'not-a-token' } });
      const refused = next(socket, 'connect_error');
      const refreshToken = async () => person.token;
      socket.on('connect_error', (error) => {
        if (error.message === 'Authentication error') {
          refreshToken().then((newToken) => {
            socket.auth.token = newToken;
            socket.connect();
          });
        }
      });
      const { message, data } = await refused;
      assert.equal(message, 'Authentication error');
      assert.equal(data.code, 'token_invalid');
      await next(socket, 'connect');
    });

    test('no token, an expired one and one signed by somebody else are refused', async () => {
      const id = `${name}-stranger`;
      const refusals = { token_missing: {}, token_expired: { token: mint(id, { seconds: -3600 }) }, token_invalid: { token: mint(id, { secret: 'another secret of more than 32 bytes' }) } };
      for (const [code, auth] of Object.entries(refusals)) {
        const socket = socketFor({ server }, { ...options, auth });
        const error = await next(socket, 'connect_error');
        assert.deepEqual([error.message, error.data.code], ['Authentication error', code]);
        }
    });

    test('a message without an ack reaches both, in the documented shape', async () => {
      const { one, chatId, first, second } = await meeting('plain');
      const arrivals = [next(first, 'newMessage'), next(second, 'newMessage')];
      first.emit('sendMessage', { chatId, content: 'Hello! Is this pet still available?', messageType: 'text', mediaUrl: null, parentMessageId: null });
      for (const message of await Promise.all(arrivals)) {
        assert.equal(message.content, 'Hello! Is this pet still available?');
        assert.equal(message.chat, chatId);
        assert.equal(message.messageType, 'text');
        assert.deepEqual([message.sender._id, message.sender.name], [one.id, one.id]);
        assert.match(message._id, /^[0-9a-f]{24}$/);
        assert.match(message.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      }
    });

    test('a message with an ack is answered with the stored message, and a reply carries its parent', async () => {
      const { chatId, first, second } = await meeting('ack');
      const asked = await ask(first, 'sendMessage', { chatId, content: 'क्या यह अभी भी है? 🐶', messageType: 'text' });
      assert.deepEqual([asked.success, asked.data.content, asked.data.seq], [true, 'क्या यह अभी भी है? 🐶', 1]);
      const heard = next(first, 'newMessage', ({ seq }) => seq === 2);
      const answered = await ask(second, 'sendMessage', { chatId, content: 'हाँ', parentMessageId: asked.data._id });
      assert.deepEqual([answered.data.parentMessage._id, answered.data.seq], [asked.data._id, 2]);
      assert.equal((await heard)._id, answered.data._id);
    });

    test('the same clientMessageId twice is one message', async () => {
      const { one, chatId, first } = await meeting('twice');
      const payload = { chatId, content: 'once', clientMessageId: 'retry-1' };
      const answers = [await ask(first, 'sendMessage', payload), await ask(first, 'sendMessage', payload)];
      assert.equal(answers[0].data._id, answers[1].data._id);
      assert.equal((await one.get(`/${chatId}/messages`)).messages.length, 1);
      const conflict = await ask(first, 'sendMessage', { ...payload, content: 'something else' });
      assert.deepEqual([conflict.success, conflict.error], [false, 'conflict']);
    });

    test('typing is told to the other alone, with its end', async () => {
      const { one, chatId, first, second } = await meeting('typing');
      const seenByTypist = record(first, 'typing');
      const seen = record(second, 'typing');
      const stopped = next(second, 'typing', ({ isTyping }) => !isTyping);
      first.emit('typing', { chatId, isTyping: true });
      first.emit('typing', { chatId, isTyping: false });
      await stopped;
      assert.deepEqual(seen.map(([, payload]) => [payload.userId, payload.isTyping]), [[one.id, true], [one.id, false]]);
      // The answer comes after whatever the server had for this socket before.
      await ask(first, 'online');
      assert.deepEqual(seenByTypist, []);
    });

    test('markAsRead tells the sender, and the counters follow', async () => {
      const { two, chatId, first, second } = await meeting('read');
      const counted = next(second, 'unreadCount', ({ count }) => count === 1);
      const { data: message } = await ask(first, 'sendMessage', { chatId, content: 'read me' });
      assert.deepEqual(await counted, { chatId, count: 1, total: 1 });
      const confirmed = next(first, 'messageRead');
      const emptied = next(second, 'unreadCount', ({ count }) => count === 0);
      second.emit('markAsRead', { chatId, messageId: message._id });
      const { messageId, userId } = await confirmed;
      assert.deepEqual([messageId, userId], [message._id, two.id]);
      assert.equal((await emptied).total, 0);
      assert.deepEqual((await two.get(`/${chatId}/messages`)).messages.map(({ status, readBy }) => [status, readBy]), [['read', [two.id]]]);
    });

    test('what a socket does wrong is told by `error`, and the connection stays', async () => {
      const { chatId, first } = await meeting('wrong');
      const mistakes = [
        ['sendMessage', { chatId, content: '   ' }, 'Message content cannot be empty'],
        ['sendMessage', { chatId, content: 'x'.repeat(1001) }, 'Message too long'],
        ['sendMessage', { chatId, content: 'x', messageType: 'sticker' }, 'Invalid message type'],
        ['join-chat', { chatId: 'f'.repeat(24) }, 'Access denied'],
      ];
      for (const [event, payload, message] of mistakes) {
        const told = next(first, 'error');
        first.emit(event, payload);
        const error = await told;
        assert.deepEqual([error.message, error.event], [message, event]);
      }
      first.emit('no-such-event', { any: 'thing' });
      first.emit('sendMessage');
      assert.equal((await ask(first, 'online')).success, true);
    });

    test('who leaves is offline for the other, and who comes is online', async () => {
      const { one, first, second } = await meeting('presence');
      const left = next(second, 'userStatus', ({ userId, isOnline }) => userId === one.id && !isOnline);
      first.disconnect();
      assert.match((await left).lastSeen, /^\d{4}-/);
      const came = next(second, 'userStatus', ({ userId, isOnline }) => userId === one.id && isOnline);
      first.connect();
      await came;
    });
  });
}

describe('across restarts', { timeout: 600_000 }, () => {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    for (const [setting, options] of Object.entries(TRANSPORT_SETTINGS)) {
      test(`${signal}: a client over ${setting} reconnects by itself and nothing acknowledged is missing`, async () => {
        const own = await Server.start();
        try {
          const { one, two, chat } = await pair(own, 'restart');
          const socket = await connected(one, options);
          const { data: sent } = await ask(socket, 'sendMessage', { chatId: chat._id, content: 'before', clientMessageId: 'b-1' });
          const lost = next(socket, 'disconnect');
          await own.kill(signal);
          assert.notEqual(await lost, 'io server disconnect', 'the client would not reconnect after that');
          const again = next(socket, 'connect');
          const reconnected = next(socket.io, 'reconnect');
          await own.startAgain();
          await Promise.all([again, reconnected]);
          // Sent again by a client that never saw the ack.
          const repeated = await ask(socket, 'sendMessage', { chatId: chat._id, content: 'before', clientMessageId: 'b-1' });
          assert.equal(repeated.data._id, sent._id);
          await ask(socket, 'sendMessage', { chatId: chat._id, content: 'after' });
          const caughtUp = await two.get(`/${chat._id}/messages?after=${sent._id}`);
          assert.deepEqual(caughtUp.messages.map(({ content, seq }) => [content, seq]), [['after', 2]]);
            } finally {
          await own.stop();
        }
      });
    }
  }
});

test('a token that ends while connected ends the session; the client refreshes and comes back', { timeout: 600_000 }, async () => {
  const person = new Person(server, 'short-lived');
  const socket = await connected(person, { auth: { token: mint(person.id, { seconds: 2 }) } });
  const reason = next(socket, 'disconnect');
  socket.on('connect_error', ({ message }) => {
    assert.equal(message, 'Authentication error');
    socket.auth.token = mint(person.id);
    socket.connect();
  });
  assert.notEqual(await reason, 'io server disconnect');
  await next(socket, 'connect');
});
