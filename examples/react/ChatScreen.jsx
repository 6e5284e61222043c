import { useCallback, useRef, useState } from 'react';
import { useChat } from './useChat.js';
import { useSocket } from './useSocket.js';

const TICKS = { sent: '✓', delivered: '✓✓', read: '✓✓' };

/** A conversation with its messages, the typing notice, and a line to write in. */
export function ChatScreen({ url, getToken, chatId, userId }) {
  const { socket, isConnected } = useSocket(url, getToken);
  const get = useCallback(async (path) => {
    const response = await fetch(`${url}/api/chat${path}`, { headers: { Authorization: `Bearer ${await getToken()}` } });
    const { success, message, data } = await response.json();
    if (!success) throw new Error(message);
    return data;
  }, [url, getToken]);
  const { messages, isOtherTyping, send, setTyping } = useChat({ socket, isConnected, get, chatId, userId });

  return (
    <section className="chat-screen">
      {!isConnected && <p role="status">Connecting…</p>}
      <ol className="messages">
        {messages.map((message) => (
          <Message key={message._id} message={message} isOwn={message.sender._id === userId} url={url} />
        ))}
      </ol>
      {isOtherTyping && <p role="status">typing…</p>}
      <Composer onSend={send} onTyping={setTyping} isDisabled={!isConnected} />
    </section>
  );
}

function Message({ message, isOwn, url }) {
  const media = message.mediaUrl && `${url}/uploads/chat_media/${message.mediaUrl}`;
  return (
    <li className={isOwn ? 'own' : 'other'}>
      {!isOwn && <b>{message.sender.name}</b>}
      {message.messageType === 'image' && media && <img src={media} alt={message.content} />}
      {message.messageType === 'video' && media && <video src={media} controls />}
      <p dir="auto">{message.content}</p>
      <small>
        {new Date(message.createdAt).toLocaleTimeString()} {isOwn && <span className={message.status}>{TICKS[message.status]}</span>}
      </small>
    </li>
  );
}

function Composer({ onSend, onTyping, isDisabled }) {
  const [text, setText] = useState('');
  const [error, setError] = useState(null);
  const input = useRef(null);

  const submit = async (event) => {
    event.preventDefault();
    const content = text.trim();
    if (!content) return;
    setText('');
    onTyping(false);
    try {
      await onSend(content);
      setError(null);
    } catch (failure) {
      // What was written is given back, so that it can be sent again.
      setText(content);
      setError(failure.message);
    }
    input.current?.focus();
  };

  return (
    <form onSubmit={submit}>
      {error && <p role="alert">{error}</p>}
      <input
        ref={input}
        value={text}
        maxLength={1000}
        placeholder="Type a message…"
        onChange={(event) => setText(event.target.value)}
        onFocus={() => onTyping(true)}
        onBlur={() => onTyping(false)}
      />
      <button disabled={isDisabled || text.trim() === ''}>Send</button>
    </form>
  );
}
