// The unmodified socket.io-client from npm, and ways to wait for what it receives.

import { afterEach } from 'node:test';
import { io } from 'socket.io-client';

/** How the documentation tells an app to connect: nothing set, polling alone, websocket alone, websocket first. */
export const TRANSPORT_SETTINGS = {
  'the default': {},
  'polling alone': { transports: ['polling'] },
  'websocket alone': { transports: ['websocket'] },
  'websocket, then polling': { transports: ['websocket', 'polling'] },
};

const PATIENCE_MS = 30_000;

/** Whatever a test opened is closed when it ends, also when it fails. */
const open = new Set();
afterEach(() => {
  for (const socket of open) socket.close();
  open.clear();
});

/** A socket for a person, not yet connected. Reconnects fast, so that tests of it do not take long. */
export function socketFor(person, options = {}) {
  const socket = io(person.server.url, { auth: { token: person.token }, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
  open.add(socket);
  return socket;
}

/** A connected socket. */
export async function connected(person, options) {
  const socket = socketFor(person, options);
  await next(socket, 'connect');
  return socket;
}

/** The first occurrence from now on, of an event whose payload pleases. Rejects when none comes. */
export function next(emitter, event, pleases = () => true) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      emitter.off(event, listener);
    };
    const listener = (payload) => {
      if (!pleases(payload)) return;
      stop();
      resolve(payload);
    };
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`no fitting "${event}" within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
    emitter.on(event, listener);
  });
}

/** Everything of these events, in the order of arrival, as `[event, payload]`. */
export function record(socket, ...events) {
  const seen = [];
  for (const event of events) socket.on(event, (payload) => seen.push([event, payload]));
  return seen;
}

/** Emits and gives the ack. */
export function ask(socket, event, payload) {
  return socket.timeout(PATIENCE_MS).emitWithAck(event, payload);
}
