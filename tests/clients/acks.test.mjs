// The server asks and the unmodified socket.io-client answers: text, binary, nothing. Against the echo example, whose `ask-me` has it
// ask the client, and tell it what it answered.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Echo } from './support/echo.mjs';
import { TRANSPORT_SETTINGS, next, socketFor } from './support/sockets.mjs';

let echo;
before(async () => (echo = await Echo.start()));
after(() => echo?.stop());

describe('the server asks', { timeout: 120_000 }, () => {
  for (const [setting, options] of Object.entries(TRANSPORT_SETTINGS)) {
    test(`and has the answer, over ${setting}`, async () => {
      const socket = socketFor({ server: echo }, options);
      await next(socket, 'connect');
      const told = () => new Promise((resolve) => socket.once('answered', (...values) => resolve(values)));

      socket.once('question', (one, two, answer) => answer(two, one));
      let answered = told();
      socket.emit('ask-me', 1, { text: 'ä' });
      assert.deepEqual(await answered, [{ text: 'ä' }, 1]);

      socket.once('question', (data, answer) => answer({ twice: [data, Buffer.concat([data, data])] }));
      answered = told();
      socket.emit('ask-me', Buffer.from([1, 2]));
      assert.deepEqual(await answered, [{ twice: [Buffer.from([1, 2]), Buffer.from([1, 2, 1, 2])] }]);

      socket.once('question', (answer) => answer());
      answered = told();
      socket.emit('ask-me');
      assert.deepEqual(await answered, []);
    });
  }

  test('and does not wait for ever', async () => {
    const socket = socketFor({ server: echo });
    await next(socket, 'connect');
    const unanswered = next(socket, 'unanswered');
    socket.emit('ask-me', 'a client that does not listen');
    assert.equal(await unanswered, 'no answer in time');
  });
});
