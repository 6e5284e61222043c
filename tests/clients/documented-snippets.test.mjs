// The longer snippets of the documentation, run as an app would use them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { io } from 'socket.io-client';
import { miniReact } from './support/mini-react.mjs';
import { Person, demoPerson, pair } from './support/rest.mjs';
import { Server } from './support/server.mjs';
import { ask, connected, next, record, socketFor } from './support/sockets.mjs';

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

const patience = { timeout: 600_000 };

test('initiatePetInquiry: "Chat with Seller" leads to the chat screen with the pet', patience, async () => {
  const { token } = new Person(server, 'snippet-buyer');
  const here = (path, options) => fetch(new URL(path, server.url), options);
  let opened;
  const navigateToChat = (chat) => (opened = chat);

  const initiatePetInquiry = async (petId, sellerId) => {
    const response = await here('/api/chat/create', {
      method: 'POST',
      headers: {
        'Authorization': `Bearer ${token}`,
        'Content-Type': 'application/json'
      },
      body: JSON.stringify({
        participantId: sellerId,
        petId: petId
      })
    });
    const chatData = await response.json();
    navigateToChat(chatData.data);
  };

  await initiatePetInquiry('pet-persian-kitten', 'user-meera');
  assert.deepEqual([opened.chatType, opened.petListing.title], ['pet_inquiry', 'Persian kitten']);
});

test('ChatListItem finds every field it reads', patience, async () => {
  const buyer = new Person(server, 'snippet-list');
  const created = await buyer.post('/create', { petId: 'pet-beagle' });
  const seller = await demoPerson(server, 'user-kabir');
  await seller.post(`/${created._id}/send`, { content: 'Ask me anything' });

  const currentUserId = buyer.id;
  const [chat] = (await buyer.get('/my-chats')).chats;
  const otherParticipant = chat.participants.find((p) => p._id !== currentUserId);
  const unreadCount = chat.unreadCount.find((u) => u.userId === currentUserId)?.count || 0;
  assert.deepEqual([otherParticipant.profilePicture, otherParticipant.name], ['/demo/assets/pictures/avatar-kabir.svg', 'Kabir']);
  assert.deepEqual([chat.petListing.images[0]?.url, chat.petListing.title, chat.petListing.price], ['/demo/assets/pictures/pet-beagle.svg', 'Beagle, eight months', 18500]);
  assert.deepEqual([chat.lastMessage?.content, unreadCount], ['Ask me anything', 1]);
  assert.ok(!Number.isNaN(new Date(chat.lastMessageTime).getTime()));
});

test('ChatScreen: joining, listening, typing on focus and blur, sending, and leaving', patience, async () => {
  const { one, two, chat } = await pair(server, 'snippet-screen');
  const other = await connected(two);
  await ask(other, 'join-chat', { chatId: chat._id });
  const heard = record(other, 'typing', 'newMessage');
  const socket = await connected(one);
  const chatId = chat._id;
  const currentUserId = one.id;
  let messages = [];
  let otherIsTyping = false;

  socket.emit('join-chat', { chatId });
  socket.on('newMessage', (message) => {
    messages = [...messages, message];
  });
  socket.on('typing', ({ userId, isTyping }) => {
    otherIsTyping = isTyping && userId !== currentUserId;
  });
  const handleTyping = (typing) => socket.emit('typing', { chatId, isTyping: typing });

  handleTyping(true);
  handleTyping(false);
  const arrived = next(other, 'newMessage');
  socket.emit('sendMessage', { chatId, content: 'typed in the app', messageType: 'text' });
  await arrived;
  assert.deepEqual(heard.map(([event, { isTyping, content }]) => [event, isTyping ?? content]), [['typing', true], ['typing', false], ['newMessage', 'typed in the app']]);

  const shown = next(socket, 'typing');
  other.emit('typing', { chatId, isTyping: true });
  await shown;
  assert.equal(otherIsTyping, true);
  await ask(socket, 'online');
  assert.deepEqual(messages.map(({ content }) => content), ['typed in the app']);
  socket.off('newMessage');
  socket.off('typing');
});

test('the useSocket hook connects, says `online`, and disconnects on cleanup', patience, async () => {
  const { one, two } = await pair(server, 'snippet-hook');
  const watcher = await connected(two);
  const react = miniReact();
  const { useEffect, useRef, useState } = react;

  const useSocket = (token) => {
    const socketRef = useRef(null);
    const [isConnected, setIsConnected] = useState(false);

    useEffect(() => {
      if (token) {
        socketRef.current = io(server.url, {
          auth: { token },
          transports: ['websocket', 'polling']
        });

        socketRef.current.on('connect', () => {
          setIsConnected(true);
          socketRef.current.emit('online');
        });

        socketRef.current.on('disconnect', () => {
          setIsConnected(false);
        });
      }

      return () => {
        if (socketRef.current) {
          socketRef.current.disconnect();
        }
      };
    }, [token]);

    return {
      socket: socketRef.current,
      isConnected
    };
  };

  const came = next(watcher, 'userStatus', ({ userId, isOnline }) => userId === one.id && isOnline);
  const unmount = react.mount(() => useSocket(one.token));
  await react.until(({ isConnected }) => isConnected);
  await came;
  const { socket } = react.result();
  const left = next(watcher, 'userStatus', ({ userId, isOnline }) => userId === one.id && !isOnline);
  unmount();
  assert.equal(socket.connected, false);
  await left;
});

test('the notification of the documentation has its title, body and data', patience, async () => {
  const { one, two, chat } = await pair(server, 'snippet-push');
  const socket = await connected(two);
  const scheduled = new Promise((resolve) => {
    socket.on('newMessage', async (message) => {
      resolve({
        title: message.sender.name,
        body: message.content,
        data: {
          chatId: message.chat,
          messageId: message._id
        }
      });
    });
  });
  const sent = await one.post(`/${chat._id}/send`, { content: 'ring' });
  assert.deepEqual(await scheduled, { title: one.id, body: 'ring', data: { chatId: chat._id, messageId: sent._id } });
});

test('the socket test of the documentation, with its own token and chat', patience, async () => {
  const { one, chat } = await pair(server, 'snippet-jest');
  const clientSocket = socketFor(one);
  await new Promise((done) => clientSocket.on('connect', done));
  const testMessage = {
    chatId: chat._id,
    content: 'Hello from test',
    messageType: 'text'
  };
  await new Promise((done) => {
    clientSocket.on('newMessage', (message) => {
      assert.equal(message.content, testMessage.content);
      done();
    });
    clientSocket.emit('sendMessage', testMessage);
  });
});

test('the options for slow networks are accepted', patience, async () => {
  const person = new Person(server, 'snippet-slow');
  const socket = await connected(person, { timeout: 20000, reconnectionAttempts: 5, reconnectionDelay: 2000 });
  assert.equal(socket.connected, true);
});
