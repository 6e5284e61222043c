/**
 * The two ways to carry Engine.IO packets: a websocket, or HTTP long-polling. Both have the same shape
 * (`send`, `close`, and the callbacks `onpacket` and `onclose`) and know nothing of what a packet means,
 * except that long-polling reads the session id out of the first one, which every later request must carry.
 */

import { ENGINE, joinPayload, splitPayload } from './packets.js';

/** One Engine.IO packet per websocket message. */
export class WebSocketTransport {
  static transportName = 'websocket';
  #socket;

  /** @param {string} base the server's address, e.g. `https://chat.example` @param {string} path */
  constructor(base, path, { onpacket, onclose }) {
    const url = new URL(path, base);
    url.protocol = url.protocol.replace('http', 'ws');
    url.search = 'EIO=4&transport=websocket';
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => onpacket(String(data));
    this.#socket.onclose = () => onclose('transport close');
  }

  send(packet) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(packet);
  }

  close() {
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
  }
}

/** At most one GET waits for packets and at most one POST carries ours, as the protocol demands. */
export class PollingTransport {
  static transportName = 'polling';
  #url;
  #callbacks;
  #abort = new AbortController();
  #outgoing = [];
  #posting = false;

  constructor(base, path, callbacks) {
    this.#url = new URL(path, base);
    this.#url.search = 'EIO=4&transport=polling';
    this.#callbacks = callbacks;
    this.#poll();
  }

  send(packet) {
    this.#outgoing.push(packet);
    if (!this.#posting) this.#flush();
  }

  close() {
    if (this.#abort.signal.aborted) return;
    // Says goodbye so that the server need not wait for the heartbeat; nobody is interested in the answer.
    if (this.#url.searchParams.has('sid')) {
      fetch(this.#url, { method: 'POST', body: ENGINE.CLOSE, keepalive: true }).catch(() => {});
    }
    this.#abort.abort();
  }

  async #poll() {
    try {
      while (!this.#abort.signal.aborted) {
        for (const packet of splitPayload(await this.#request())) {
          if (packet.startsWith(ENGINE.OPEN)) {
            this.#url.searchParams.set('sid', JSON.parse(packet.slice(1)).sid);
          }
          this.#callbacks.onpacket(packet);
          if (this.#abort.signal.aborted) return;
        }
      }
    } catch {
      this.#fail();
    }
  }

  async #flush() {
    this.#posting = true;
    try {
      while (this.#outgoing.length > 0) await this.#request(joinPayload(this.#outgoing.splice(0)));
      this.#posting = false;
    } catch {
      this.#fail();
    }
  }

  async #request(body) {
    const response = await fetch(this.#url, {
      method: body === undefined ? 'GET' : 'POST',
      body,
      cache: 'no-store',
      signal: this.#abort.signal,
    });
    if (!response.ok) throw new Error(`polling answered ${response.status}`);
    return response.text();
  }

  #fail() {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#callbacks.onclose('transport error');
  }
}
