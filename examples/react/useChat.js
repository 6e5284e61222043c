import { useCallback, useEffect, useRef, useState } from 'react';

const ACK_TIMEOUT_MS = 10_000;
const ATTEMPTS = 3;

/**
 * One conversation, kept in step with the server.
 * @param {object} options
 * @param {(path: string) => Promise<any>} options.get stable across renders; gives the `data` of a REST answer under /api/chat
 */
export function useChat({ socket, isConnected, get, chatId, userId }) {
  const [messages, setMessages] = useState([]);
  const [isOtherTyping, setIsOtherTyping] = useState(false);
  /** The last message before which nothing is missing. */
  const knownUpTo = useRef(null);

  useEffect(() => {
    knownUpTo.current = null;
    setMessages([]);
    setIsOtherTyping(false);
  }, [chatId]);

  useEffect(() => {
    if (!socket) return undefined;
    const onMessage = (message) => message.chat === chatId && setMessages((before) => merge(before, [message]));
    const onTyping = (event) => event.chatId === chatId && event.userId !== userId && setIsOtherTyping(event.isTyping);
    const onRead = ({ chatId: where, messageId, userId: who }) => {
      if (where === chatId && who !== userId) setMessages((before) => markRead(before, messageId, who));
    };
    const onDeleted = ({ messageId }) => setMessages((before) => before.map((one) => (one._id === messageId ? { ...one, isDeleted: true, content: 'This message was deleted', mediaUrl: null } : one)));
    const listeners = { newMessage: onMessage, typing: onTyping, messageRead: onRead, messageDeleted: onDeleted };
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
    return () => {
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
    };
  }, [socket, chatId, userId]);

  // After every connect: join again, and fetch what happened meanwhile. Events that arrive during it merge by id.
  useEffect(() => {
    if (!isConnected) return undefined;
    let isCurrent = true;
    const catchUp = async () => {
      for (let hasMore = true; hasMore && isCurrent; ) {
        const after = knownUpTo.current;
        const page = await get(`/${chatId}/messages?limit=50${after ? `&after=${after}` : ''}`);
        if (!isCurrent) return;
        setMessages((before) => merge(before, page.messages));
        knownUpTo.current = page.messages.at(-1)?._id ?? after;
        // Without a cursor the newest page came, and what it has more of is older.
        hasMore = after !== null && page.pagination.hasMore;
      }
    };
    socket.emit('join-chat', { chatId });
    catchUp().catch((error) => console.warn('the conversation could not be loaded', error));
    return () => {
      isCurrent = false;
      socket.emit('leave-chat', { chatId });
    };
  }, [socket, isConnected, get, chatId]);

  // This screen shows the newest message, so it has been read.
  useEffect(() => {
    const newest = messages.at(-1);
    if (isConnected && newest && newest.sender._id !== userId && !newest.readBy.includes(userId)) {
      socket.emit('markAsRead', { chatId, messageId: newest._id });
    }
  }, [socket, isConnected, messages, chatId, userId]);

  const send = useCallback(async (content) => {
    const message = { chatId, content, messageType: 'text', clientMessageId: randomId() };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const ack = await socket.timeout(ACK_TIMEOUT_MS).emitWithAck('sendMessage', message);
        if (!ack.success) throw new Refused(ack.message);
        setMessages((before) => merge(before, [ack.data]));
        return ack.data;
      } catch (error) {
        // A lost ack says nothing; the same clientMessageId makes asking again harmless.
        if (error instanceof Refused || attempt === ATTEMPTS) throw error;
      }
    }
  }, [socket, chatId]);

  const setTyping = useCallback((isTyping) => {
    socket?.volatile.emit('typing', { chatId, isTyping });
  }, [socket, chatId]);

  return { messages, isOtherTyping, send, setTyping };
}

/** Each message once, in the order the server gave them. */
function merge(before, arrived) {
  const byId = new Map(before.map((message) => [message._id, message]));
  for (const message of arrived) byId.set(message._id, message);
  return [...byId.values()].sort((a, b) => a.seq - b.seq);
}

/** Reading is a watermark: everything up to a message has been read. */
function markRead(messages, messageId, reader) {
  const mark = messages.find(({ _id }) => _id === messageId);
  if (!mark) return messages;
  return messages.map((message) => (message.seq <= mark.seq && message.sender._id !== reader ? { ...message, status: 'read' } : message));
}

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

class Refused extends Error {}
