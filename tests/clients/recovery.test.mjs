// Connection state recovery with the unmodified socket.io-client: `socket.recovered`, and what was said meanwhile.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pair } from './support/rest.mjs';
import { Server } from './support/server.mjs';
import { TRANSPORT_SETTINGS, ask, connected, next, record } from './support/sockets.mjs';

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

/** The connection goes without a word, as when a phone leaves the network. */
function lose(socket) {
  const { engine } = socket.io;
  // A websocket's connection, or the request that waits for packets.
  const { transport } = engine;
  if (transport.name === 'websocket') transport.ws.terminate?.() ?? transport.ws._socket?.destroy() ?? transport.ws.close();
  else engine.close();
}

describe('coming back', { timeout: 600_000 }, () => {
  for (const [setting, options] of Object.entries(TRANSPORT_SETTINGS)) {
    test(`gets the socket back, twice, over ${setting}`, async () => {
      const { one, two, chat } = await pair(server, `recovery-${setting.replaceAll(/[^a-z]/g, '')}`);
      const socket = await connected(two, options);
      assert.equal(socket.recovered, false);
      assert.ok((await ask(socket, 'join-chat', { chatId: chat._id })).success);
      const seen = record(socket, 'newMessage');
      const { id } = socket;
      // The first loss comes before any event, the second after some.
      for (const round of [1, 2]) {
        // Late enough to send meanwhile, whatever the client's own delay.
        const back = new Promise((resolve) => socket.once('connect', resolve));
        const lost = next(socket, 'disconnect');
        socket.io.reconnectionDelay(500);
        lose(socket);
        await lost;
        for (const number of [1, 2, 3]) await one.post(`/${chat._id}/send`, { content: `${round}.${number}` });
        socket.connect();
        await back;
        assert.deepEqual([socket.recovered, socket.id], [true, id], `round ${round}`);
      }
      const last = next(socket, 'newMessage', ({ content }) => content === 'last');
      await one.post(`/${chat._id}/send`, { content: 'last' });
      await last;
      assert.deepEqual(seen.map(([, { content }]) => content), ['1.1', '1.2', '1.3', '2.1', '2.2', '2.3', 'last']);
      // Still in the chat's room.
      const other = await connected(one, options);
      await ask(other, 'join-chat', { chatId: chat._id });
      const typing = next(socket, 'typing');
      await ask(other, 'typing', { chatId: chat._id, isTyping: true });
      assert.equal((await typing).isTyping, true);
    });
  }

  test('a goodbye is final, and a restarted server knows nobody', async () => {
    const own = await Server.start();
    try {
      const { one } = await pair(own, 'recovery-final');
      const socket = await connected(one);
      socket.disconnect();
      socket.connect();
      await next(socket, 'connect');
      assert.equal(socket.recovered, false);
      const back = next(socket, 'connect');
      await own.kill();
      await own.startAgain();
      await back;
      assert.equal(socket.recovered, false);
    } finally {
      await own.stop();
    }
  });

  test('many clients come back by themselves after a graceful restart, not all at once', async () => {
    const own = await Server.start();
    try {
      const { one, chat } = await pair(own, 'restart');
      const sockets = await Promise.all(Array.from({ length: 40 }, () => connected(one)));
      const ends = [];
      const came = sockets.map((socket) => {
        socket.once('disconnect', (reason) => ends.push([performance.now(), reason]));
        return next(socket, 'connect');
      });
      await own.kill('SIGTERM');
      await own.startAgain();
      await Promise.all(came);
      assert.equal(ends.length, 40);
      assert.deepEqual([...new Set(ends.map(([, reason]) => reason))], ['transport close']);
      assert.ok(Math.max(...ends.map(([at]) => at)) - Math.min(...ends.map(([at]) => at)) > 200, 'all at once');
      const heard = Promise.all(sockets.map((socket) => next(socket, 'newMessage')));
      await one.post(`/${chat._id}/send`, { content: 'everybody?' });
      await heard;
    } finally {
      await own.stop();
    }
  });
});
