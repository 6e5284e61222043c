/**
 * The text forms of Engine.IO v4 and Socket.IO v5 packets. Pure: it owns the grammar and knows nothing of
 * transports, timers or the chat, so it runs under Node as well as in a page.
 *
 *   Engine.IO   <type digit>[data]           several of them on long-polling are joined by U+001E
 *   Socket.IO   <type digit>[/namespace,][ack id][JSON]     inside an Engine.IO message
 *
 * The chat sends no binary events, so binary packets (types 5 and 6) are refused rather than half supported.
 */

export const ENGINE = Object.freeze({ OPEN: '0', CLOSE: '1', PING: '2', PONG: '3', MESSAGE: '4', UPGRADE: '5', NOOP: '6' });
export const SOCKET = Object.freeze({ CONNECT: 0, DISCONNECT: 1, EVENT: 2, ACK: 3, CONNECT_ERROR: 4 });

/** Separates packets in one long-polling body. It cannot occur inside JSON text, which escapes it. */
const SEPARATOR = '\u001e';

/** @param {string[]} packets Engine.IO packets @returns {string} a long-polling body */
export function joinPayload(packets) {
  return packets.join(SEPARATOR);
}

/** @param {string} body a long-polling body @returns {string[]} its Engine.IO packets */
export function splitPayload(body) {
  return body.split(SEPARATOR);
}

/**
 * @param {{type: number, id?: number, data?: unknown, namespace?: string}} packet
 * @returns {string} the packet as Socket.IO text, without the Engine.IO type
 */
export function encodePacket({ type, id, data, namespace = '/' }) {
  const head = `${type}${namespace === '/' ? '' : `${namespace},`}${id ?? ''}`;
  return data === undefined ? head : head + JSON.stringify(data);
}

/**
 * @param {string} text Socket.IO text, without the Engine.IO type
 * @returns {{type: number, namespace: string, id?: number, data?: any}}
 * @throws {PacketError} for anything the grammar does not allow
 */
export function decodePacket(text) {
  const type = text.charCodeAt(0) - 48;
  if (!(type >= SOCKET.CONNECT && type <= SOCKET.CONNECT_ERROR)) {
    throw new PacketError(`packet type ${JSON.stringify(text.charAt(0))} is not supported`);
  }
  const { namespace, rest } = takeNamespace(text.slice(1));
  const digits = /^[0-9]*/.exec(rest)[0];
  const id = digits === '' ? undefined : Number(digits);
  if (id !== undefined && !Number.isSafeInteger(id)) throw new PacketError('the ack id is too large');
  const packet = { type, namespace, id, data: parseJson(rest.slice(digits.length)) };
  if (!payloadFits(packet)) throw new PacketError(`the payload does not suit packet type ${type}`);
  return packet;
}

function takeNamespace(text) {
  if (!text.startsWith('/')) return { namespace: '/', rest: text };
  // The comma may be missing when nothing follows the namespace.
  const comma = text.indexOf(',');
  return comma < 0 ? { namespace: text, rest: '' } : { namespace: text.slice(0, comma), rest: text.slice(comma + 1) };
}

function parseJson(text) {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PacketError('the payload is not JSON', { cause });
  }
}

function payloadFits({ type, id, data }) {
  switch (type) {
    case SOCKET.CONNECT:
      return data === undefined || isObject(data);
    case SOCKET.DISCONNECT:
      return data === undefined;
    case SOCKET.EVENT:
      return Array.isArray(data) && typeof data[0] === 'string';
    case SOCKET.ACK:
      return Array.isArray(data) && id !== undefined;
    default:
      return typeof data === 'string' || isObject(data);
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What arrived is not a packet: the connection that carried it cannot be trusted further. */
export class PacketError extends Error {
  name = 'PacketError';
}
