/**
 * A small Socket.IO v5 client for the main namespace: connect with `auth`, events, acks with a timeout, heartbeat
 * watching, and reconnecting with backoff and jitter. It knows nothing of the chat.
 *
 *   const socket = new Socket({ auth: () => ({ token }) });
 *   socket.on('connect', () => …);                 // also after every reconnect
 *   socket.on('connect_error', (error) => …);      // error.refused: the server said no; call connect() to try again
 *   socket.on('disconnect', (reason) => …);
 *   socket.on('reconnecting', ({ attempt, delay }) => …);
 *   socket.on('newMessage', (message) => …);       // any event of the server
 *   socket.emit('typing', { … });                  // dropped while disconnected
 *   await socket.request('sendMessage', { … });    // the ack; rejects on timeout and on disconnect
 *   socket.connect();
 *
 * Nothing is buffered while disconnected: a caller that must not lose an event retries it under an id that the
 * server recognises (`clientMessageId`), because only the caller knows what is still worth sending.
 */

import { ENGINE, SOCKET, decodePacket, encodePacket } from './packets.js';
import { PollingTransport, WebSocketTransport } from './transports.js';

const TRANSPORTS = { websocket: WebSocketTransport, polling: PollingTransport };

/** How long a transport may take to bring the handshake and the CONNECT answer; a proxy may swallow websockets. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Default time to wait for an ack. */
const ACK_TIMEOUT_MS = 10_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;

/**
 * Backoff doubles from half a second to ten; the jitter spreads the clients of a restarted server over time.
 * @param {number} attempt 1 for the first retry @param {number} random in [0, 1)
 */
export function reconnectDelay(attempt, random) {
  const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return Math.round(delay * (0.5 + random));
}

export class Socket {
  /** The id the server gave this connection, `undefined` while disconnected. */
  id;
  /** `websocket` or `polling`, the one in use. */
  transportName;
  #options;
  #listeners = new Map();
  #acks = new Map();
  #nextAck = 0;
  #transport;
  #candidates = [];
  #handshake;
  #deadline;
  #retry;
  #attempt = 0;

  /**
   * @param {object} options
   * @param {string} [options.base] address of the server, by default the page's own
   * @param {string} [options.path] default `/socket.io/`
   * @param {() => object} [options.auth] asked anew for every connection
   * @param {string[]} [options.transports] tried in this order until one opens
   */
  constructor({ base = globalThis.location?.origin, path = '/socket.io/', auth = () => ({}), transports } = {}) {
    this.#options = { base, path, auth, transports: transports ?? ['websocket', 'polling'] };
    // The network is back: waiting for the rest of the backoff would only annoy.
    globalThis.addEventListener?.('online', () => this.#retry && this.connect());
  }

  get connected() {
    return this.id !== undefined;
  }

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => this.#listeners.get(event).delete(listener);
  }

  /** Connects now, also when a retry was waiting. Does nothing while a connection exists or is being made. */
  connect() {
    if (this.#transport) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#candidates = [...this.#options.transports];
    this.#open();
  }

  /** Leaves for good: no reconnect until `connect()` is called. */
  disconnect() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.connected) this.#sendPacket({ type: SOCKET.DISCONNECT });
    this.#drop('io client disconnect');
  }

  /** @returns {boolean} whether the event was handed to a connection */
  emit(event, ...args) {
    if (!this.connected) return false;
    this.#sendPacket({ type: SOCKET.EVENT, data: [event, ...args] });
    return true;
  }

  /** Emits and waits for the ack. Rejects with an error whose `retryable` is true: nobody knows whether it arrived. */
  request(event, payload, { timeout = ACK_TIMEOUT_MS } = {}) {
    if (!this.connected) return Promise.reject(new LostAck('not connected'));
    const id = this.#nextAck++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#acks.delete(id) && reject(new LostAck('no answer in time')), timeout);
      this.#acks.set(id, { resolve, reject, timer });
      this.#sendPacket({ type: SOCKET.EVENT, id, data: [event, payload] });
    });
  }

  #open() {
    const Transport = TRANSPORTS[this.#candidates.shift()];
    this.transportName = Transport.transportName;
    this.#watch(CONNECT_TIMEOUT_MS, () => this.#onTransportClose('timeout'));
    const transport = new Transport(this.#options.base, this.#options.path, {
      // A transport that has been replaced may still have events in flight: they no longer concern anybody.
      onpacket: (packet) => transport === this.#transport && this.#onEnginePacket(packet),
      onclose: (reason) => transport === this.#transport && this.#onTransportClose(reason),
    });
    this.#transport = transport;
  }

  #onTransportClose(reason) {
    const neverOpened = !this.#handshake;
    if (neverOpened && this.#candidates.length > 0) {
      this.#transport.close();
      this.#open();
    } else {
      this.#lose(reason);
    }
  }

  #onEnginePacket(packet) {
    try {
      switch (packet[0]) {
        case ENGINE.OPEN:
          this.#handshake = JSON.parse(packet.slice(1));
          return this.#sendPacket({ type: SOCKET.CONNECT, data: this.#options.auth() });
        case ENGINE.PING:
          this.#transport.send(ENGINE.PONG);
          return this.#watchHeartbeat();
        case ENGINE.CLOSE:
          return this.#lose('transport close');
        case ENGINE.MESSAGE:
          return this.#onPacket(decodePacket(packet.slice(1)));
        default:
          return undefined;
      }
    } catch (error) {
      console.warn('socket: closing after a bad packet', error);
      return this.#lose('parse error');
    }
  }

  #onPacket({ type, id, data }) {
    switch (type) {
      case SOCKET.CONNECT:
        this.id = data.sid;
        this.#attempt = 0;
        this.#watchHeartbeat();
        return this.#tell('connect');
      case SOCKET.CONNECT_ERROR:
        this.#drop();
        return this.#tell('connect_error', new Refused(data));
      case SOCKET.DISCONNECT:
        return this.#drop('io server disconnect');
      case SOCKET.ACK:
        return this.#settle(id, data[0]);
      default:
        return this.#tell(...data);
    }
  }

  #sendPacket(packet) {
    this.#transport.send(ENGINE.MESSAGE + encodePacket(packet));
  }

  #settle(id, answer) {
    const ack = this.#acks.get(id);
    if (!ack) return;
    this.#acks.delete(id);
    clearTimeout(ack.timer);
    ack.resolve(answer);
  }

  #tell(event, ...args) {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(...args);
      } catch (error) {
        // A listener's fault must not take the connection with it.
        globalThis.reportError ? globalThis.reportError(error) : console.error(error);
      }
    }
  }

  /** The server pings every `pingInterval`; silence beyond `pingTimeout` more means that the line is dead. */
  #watchHeartbeat() {
    const { pingInterval, pingTimeout } = this.#handshake;
    this.#watch(pingInterval + pingTimeout, () => this.#lose('ping timeout'));
  }

  #watch(milliseconds, expired) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(expired, milliseconds);
  }

  /** Ends the connection without a word about what comes next. */
  #drop(reason) {
    const wasConnected = this.connected;
    clearTimeout(this.#deadline);
    this.#transport?.close();
    this.#transport = undefined;
    this.#handshake = undefined;
    this.id = undefined;
    for (const { reject, timer } of this.#acks.values()) {
      clearTimeout(timer);
      reject(new LostAck('disconnected'));
    }
    this.#acks.clear();
    if (wasConnected) this.#tell('disconnect', reason);
  }

  /** Ends the connection and tries again later. */
  #lose(reason) {
    const wasConnected = this.connected;
    this.#drop(reason);
    if (!wasConnected) this.#tell('connect_error', new Error(reason));
    // A listener may have decided otherwise.
    if (this.#transport || this.#retry) return;
    this.#attempt += 1;
    const delay = reconnectDelay(this.#attempt, Math.random());
    this.#retry = setTimeout(() => this.connect(), delay);
    this.#tell('reconnecting', { attempt: this.#attempt, delay });
  }
}

/** The server answered CONNECT with a refusal, for example `Authentication error`. */
export class Refused extends Error {
  name = 'Refused';
  refused = true;

  constructor(data) {
    super(typeof data === 'string' ? data : data.message);
    this.data = data?.data;
  }
}

/** Nobody knows whether the event arrived; sending it again is safe only under the same `clientMessageId`. */
export class LostAck extends Error {
  name = 'LostAck';
  retryable = true;
}
