// The unmodified socket.io-client, large uploads and long polls through TLS: behind nginx and Caddy as `examples/proxy` sets them
// up, and at the server itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Front, certify, forget, has } from './support/front.mjs';
import { PNG } from './support/rest.mjs';
import { Server, mint } from './support/server.mjs';
import { ask, connected, next } from './support/sockets.mjs';

// 25 s and 20 s by default: everything is as idle as there, for a twenty-fifth of the time.
const FACTOR = 25;
const PINGS = ['--ping-interval', String(25_000 / FACTOR), '--ping-timeout', String(20_000 / FACTOR)];
const LARGEST = 52_428_800;
const ELSEWHERE = '127.0.0.9';

const FRONTS = {
  nginx: { isProxy: true, isMissing: !has('nginx', '-v') },
  caddy: { isProxy: true, isMissing: !has('caddy', 'version') },
  'the server itself': {},
};

let files;
let site;
before(async () => {
  files = await certify();
  site = createServer((_request, response) => response.end('the marketplace')).listen(0, '127.0.0.1');
  await once(site, 'listening');
});
after(async () => {
  site?.close();
  if (files) await forget(files);
});

/** A picture of exactly so many bytes, nearly all of them in a chunk that is kept. */
function picture(size) {
  const chunk = Buffer.alloc(size - PNG.length);
  chunk.writeUInt32BE(chunk.length - 12);
  chunk.write('sPLT', 4);
  return Buffer.concat([PNG.subarray(0, 33), chunk, PNG.subarray(33)]);
}

function form(bytes) {
  const boundary = '----a-boundary-of-the-tests';
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="media"; filename="large.png"\r\nContent-Type: image/png\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { body, headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}`, 'Content-Length': body.length } };
}

/** Somebody who speaks to a front. */
class Visitor {
  constructor(front, id) {
    // What `socketFor` looks at.
    Object.assign(this, { server: front, id, token: mint(id) });
  }

  /** A call of the chat's API that must succeed; gives its data. */
  async call(method, path, { headers, body, ...options } = {}) {
    const sent = body && !Buffer.isBuffer(body) ? Buffer.from(JSON.stringify(body)) : body;
    const type = sent === body ? {} : { 'Content-Type': 'application/json', 'Content-Length': sent.length };
    const all = { Authorization: `Bearer ${this.token}`, ...type, ...headers };
    const answer = await this.server.request(method, `/api/chat${path}`, { headers: all, body: sent, ...options });
    const envelope = JSON.parse(answer.body);
    assert.ok(envelope.success, `${answer.status} ${envelope.message}`);
    return envelope.data;
  }
}

for (const [kind, { isProxy, isMissing }] of Object.entries(FRONTS)) {
  describe(`through ${kind}`, { timeout: 300_000, skip: isMissing && `NOT RUN: ${kind} is not installed` }, () => {
    let server;
    let front;
    let one;
    let two;
    let chat;
    before(async () => {
      const flags = [...PINGS, '--log', 'info,jivchat::server=debug', '--log-format', 'json'];
      if (isProxy) {
        server = await Server.startPlain(...flags, '--trusted-proxy', '127.0.0.1');
        const places = { upstream: `127.0.0.1:${server.port}`, site: `127.0.0.1:${site.address().port}` };
        front = await Front.start(kind, { ...places, files, factor: FACTOR });
      } else {
        server = await Server.startPlain(...flags, '--tls-cert', files.cert, '--tls-key', files.key);
        assert.match(server.url, /^https:/);
        front = new Front(server.port, files.ca);
      }
      [one, two] = [new Visitor(front, 'one'), new Visitor(front, 'two')];
      await two.call('GET', '/my-chats');
      chat = await one.call('POST', '/create', { body: { participantId: two.id } });
    });
    after(async () => {
      await front?.stop();
      await server?.stop();
    });

    for (const [name, transports] of Object.entries({ websocket: ['websocket'], polling: ['polling'], 'the upgrade': ['polling', 'websocket'] })) {
      test(`messages arrive over ${name}`, async () => {
        const socket = await connected(two, { agent: front.agent, transports });
        const { engine } = socket.io;
        if (name === 'the upgrade' && engine.transport.name === 'polling') await next(engine, 'upgrade');
        assert.equal(engine.transport.name, transports.at(-1));
        const seen = next(socket, 'newMessage', ({ content }) => content === name);
        await one.call('POST', `/${chat._id}/send`, { body: { content: name } });
        await seen;
        assert.ok((await ask(socket, 'join-chat', { chatId: chat._id })).success);
      });
    }

    test('nobody is cut off for having nothing to say', async () => {
      const over = (transport) => connected(two, { agent: front.agent, transports: [transport] });
      const sockets = await Promise.all([over('polling'), over('websocket')]);
      const idle = sockets.map(async (socket) => {
        const gone = next(socket, 'disconnect').then((reason) => assert.fail(`cut off: ${reason}`), () => {});
        // More than a hundred seconds at the default pings.
        for (let ping = 0; ping < 5; ping += 1) await Promise.race([next(socket.io.engine, 'ping'), gone]);
      });
      await Promise.all(idle);
    });

    test('the largest file that is allowed passes', async () => {
      const large = picture(LARGEST);
      const { media } = await one.call('POST', `/${chat._id}/send-media`, form(large));
      assert.equal(media.size, LARGEST);
      const { status, body } = await front.request('GET', media.url);
      assert.equal(status, 200);
      assert.ok(body.equals(large), 'it comes back as it went');
    });

    test('the server knows who asks, whatever they say', async () => {
      const seen = server.logged(new RegExp(`"client":"${ELSEWHERE}"`));
      // On Linux every address in 127.0.0.0/8 is one of this machine.
      await one.call('GET', '/my-chats', { headers: { 'X-Forwarded-For': '203.0.113.7' }, localAddress: ELSEWHERE, agent: front.another() });
      assert.match(await seen, /my-chats/);
    });

    // To the server itself this machine is this machine.
    if (!isProxy) return;
    test('what is for this machine stays there', async () => {
      for (const target of ['/metrics', '/metrics/', '/health', '/api/admin/stats', '//metrics', '/api/chat/../../metrics', '/api/chat/%2e%2e/%2e%2e/metrics']) {
        const { status, body } = await front.request('GET', target);
        assert.ok(body.equals(Buffer.from('the marketplace')) || status >= 400, `${target}: ${status} ${body}`);
        assert.ok(!body.includes('jivchat_'), target);
      }
    });
  });
}
