// Every REST call of the documentation, its answers' shapes, and its curl lines as they stand.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { PNG, Person, mediaForm, pair } from './support/rest.mjs';
import { SECRET, Server, mint, run } from './support/server.mjs';
import { connected, next } from './support/sockets.mjs';

const PET = 'pet-golden-retriever';
const SELLER = 'user-asha';

let server;
before(async () => (server = await Server.start()));
after(() => server?.stop());

describe('chats', { timeout: 600_000 }, () => {
  test('an inquiry about a pet brings its owner in and shows the pet', async () => {
    const buyer = new Person(server, 'rest-buyer');
    const answer = await buyer.call('POST', '/create', { participantId: SELLER, petId: PET });
    assert.deepEqual([answer.status, answer.message], [201, 'Chat created successfully']);
    const chat = answer.data;
    assert.deepEqual(chat.participants.map(({ _id }) => _id).sort(), ['rest-buyer', SELLER]);
    const seller = chat.participants.find(({ _id }) => _id === SELLER);
    assert.deepEqual([seller.name, seller.email, seller.profilePicture], ['Asha', 'asha@example.com', '/demo/assets/pictures/avatar-asha.svg']);
    const { _id, title, images, price, address, breed } = chat.petListing;
    assert.deepEqual([_id, title, price, address, breed], [PET, 'Golden Retriever puppy', 15000, 'Delhi', 'Golden Retriever']);
    assert.equal(images[0].url, '/demo/assets/pictures/pet-golden-retriever.svg');
    assert.deepEqual([chat.chatType, chat.isActive], ['pet_inquiry', true]);

    const again = await buyer.call('POST', '/create', { petId: PET });
    assert.deepEqual([again.status, again.message, again.data._id], [200, 'Chat retrieved successfully', chat._id]);
  });

  test('a direct chat needs no pet, and what cannot be is refused in words', async () => {
    const { one, chat } = await pair(server, 'rest-direct');
    assert.deepEqual([chat.chatType, chat.petListing], ['direct', null]);
    const refusals = [
      [{}, 400, 'Either petId or participantId is required'],
      [{ participantId: 'nobody-knows-them' }, 404, 'User not found'],
      [{ petId: 'pet-unknown' }, 404, 'Pet not found'],
    ];
    for (const [body, status, message] of refusals) {
      const answer = await one.call('POST', '/create', body);
      assert.deepEqual([answer.status, answer.message, answer.data], [status, message, null]);
      assert.match(answer.error, /^[a-z_]+$/);
    }
    assert.equal((await one.call('POST', '/create', { participantId: one.id })).error, 'self_chat');
  });

  test('my-chats gives what a chat list needs', async () => {
    const { one, two, chat } = await pair(server, 'rest-list');
    const sent = await one.post(`/${chat._id}/send`, { content: 'Hello! Is this pet still available?', messageType: 'text' });
    const { chats, pagination } = await two.get('/my-chats?page=1&limit=20');
    assert.deepEqual(pagination, { currentPage: 1, totalPages: 1, totalChats: 1, hasMore: false });
    assert.deepEqual([chats[0].lastMessage._id, chats[0].lastMessage.content], [sent._id, sent.content]);
    assert.equal(chats[0].lastMessageTime, sent.createdAt);
    assert.equal(chats[0].unreadCount.find(({ userId }) => userId === two.id).count, 1);
    assert.equal((await two.get('/unread-count')).unreadCount, 1);
  });

  test('PUT mark-read reads everything, and sockets hear of it', async () => {
    const { one, two, chat } = await pair(server, 'rest-mark');
    const socket = await connected(one);
    const sent = await one.post(`/${chat._id}/send`, { content: 'unread' });
    const heard = next(socket, 'messageRead');
    const answer = await two.call('PUT', `/${chat._id}/mark-read`);
    assert.deepEqual([answer.status, answer.message], [200, 'Messages marked as read']);
    const { chatId, messageId, userId } = await heard;
    assert.deepEqual([chatId, messageId, userId], [chat._id, sent._id, two.id]);
    assert.equal((await two.get('/unread-count')).unreadCount, 0);
  });

  test('a block stops both until it is taken back, and sockets hear of it', async () => {
    const { one, two, chat } = await pair(server, 'rest-block');
    const socket = await connected(two);
    const heard = next(socket, 'chatBlocked');
    const blocked = await one.call('PUT', `/${chat._id}/toggle-block`);
    assert.deepEqual([blocked.status, blocked.message], [200, 'Chat blocked successfully']);
    assert.deepEqual(await heard, { chatId: chat._id, blockedBy: [one.id] });
    for (const person of [one, two]) {
      const refused = await person.call('POST', `/${chat._id}/send`, { content: 'let me' });
      assert.deepEqual([refused.status, refused.message, refused.error], [403, 'This chat is blocked', 'chat_blocked']);
    }
    assert.equal((await one.call('PUT', `/${chat._id}/toggle-block`)).message, 'Chat unblocked successfully');
    await two.post(`/${chat._id}/send`, { content: 'thank you' });
  });
});

describe('messages', { timeout: 600_000 }, () => {
  test('send answers with the message, and a reply carries its parent', async () => {
    const { one, two, chat } = await pair(server, 'rest-send');
    const answer = await one.call('POST', `/${chat._id}/send`, { content: 'Hello! Is this pet still available?', messageType: 'text' });
    assert.deepEqual([answer.status, answer.message, answer.data.status], [201, 'Message sent successfully', 'sent']);
    const reply = await two.post(`/${chat._id}/send`, { content: 'Yes', messageType: 'text', parentMessageId: answer.data._id });
    assert.deepEqual([reply.parentMessage._id, reply.parentMessage.content], [answer.data._id, answer.data.content]);
  });

  test('history comes in pages, newest page first, ascending inside; cursors leave no gap', async () => {
    const { one, two, chat } = await pair(server, 'rest-pages');
    for (let number = 1; number <= 7; number += 1) await one.post(`/${chat._id}/send`, { content: `message ${number}` });
    const seqs = async (query) => {
      const { messages, pagination } = await two.get(`/${chat._id}/messages?${query}`);
      return [messages.map(({ seq }) => seq), pagination.hasMore];
    };
    assert.deepEqual(await seqs('page=1&limit=3'), [[5, 6, 7], true]);
    assert.deepEqual(await seqs('page=3&limit=3'), [[1], false]);
    const { messages, pagination } = await two.get(`/${chat._id}/messages?page=1&limit=50`);
    assert.deepEqual(pagination, { currentPage: 1, totalPages: 1, totalMessages: 7, hasMore: false });
    assert.deepEqual(await seqs(`before=${messages[4]._id}&limit=3`), [[2, 3, 4], true]);
    assert.deepEqual(await seqs(`after=${messages[4]._id}&limit=50`), [[6, 7], false]);
    assert.equal((await one.get(`/${chat._id}/messages`)).messages[0].sender.name, one.id);
  });

  test('a picture is stored, told to both, and served as it was', async () => {
    const { one, two, chat } = await pair(server, 'rest-media');
    const socket = await connected(two);
    const heard = next(socket, 'newMessage');
    const answer = await one.call('POST', `/${chat._id}/send-media`, mediaForm(PNG));
    assert.deepEqual([answer.status, answer.message], [201, 'Media message sent successfully']);
    const message = answer.data;
    assert.deepEqual([message.messageType, message.content, message.status], ['image', 'Sent image', 'sent']);
    assert.match(message.mediaUrl, /^chat-\d+-[0-9a-f]{32}\.png$/);
    assert.equal((await heard).mediaUrl, message.mediaUrl);
    const file = await fetch(`${server.url}/uploads/chat_media/${message.mediaUrl}`);
    assert.deepEqual([file.status, file.headers.get('content-type'), file.headers.get('x-content-type-options')], [200, 'image/png', 'nosniff']);
    assert.deepEqual(Buffer.from(await file.arrayBuffer()), PNG);
    const captioned = await one.post(`/${chat._id}/send-media`, mediaForm(PNG, { caption: 'यह रही तस्वीर' }));
    assert.equal(captioned.content, 'यह रही तस्वीर');
  });

  test('what is no picture or video is refused whatever it calls itself', async () => {
    const { one, chat } = await pair(server, 'rest-fake');
    const refused = await one.call('POST', `/${chat._id}/send-media`, mediaForm(Buffer.from('<script>alert(1)</script>')));
    assert.deepEqual([refused.status, refused.message], [415, 'Only image and video files are allowed']);
    const empty = new FormData();
    empty.append('content', 'no file');
    const missing = await one.call('POST', `/${chat._id}/send-media`, empty);
    assert.deepEqual([missing.status, missing.message], [400, 'No media file uploaded']);
    assert.equal((await one.get(`/${chat._id}/messages`)).messages.length, 0);
  });

  test('a deleted message leaves a tombstone, for its sender alone to make', async () => {
    const { one, two, chat } = await pair(server, 'rest-delete');
    const socket = await connected(two);
    const sent = await one.post(`/${chat._id}/send-media`, mediaForm(PNG));
    assert.equal((await two.call('DELETE', `/message/${sent._id}`)).status, 403);
    const heard = next(socket, 'messageDeleted');
    const answer = await one.call('DELETE', `/message/${sent._id}`);
    assert.deepEqual([answer.status, answer.message], [200, 'Message deleted successfully']);
    assert.deepEqual(await heard, { chatId: chat._id, messageId: sent._id });
    const [tombstone] = (await two.get(`/${chat._id}/messages`)).messages;
    assert.deepEqual([tombstone.content, tombstone.isDeleted, tombstone.mediaUrl], ['This message was deleted', true, null]);
    assert.equal((await fetch(`${server.url}/uploads/chat_media/${sent.mediaUrl}`)).status, 404);
    assert.equal((await two.get('/unread-count')).unreadCount, 0);
  });

  test('one cannot look into the chats of others, nor come without a token', async () => {
    const { chat } = await pair(server, 'rest-private');
    const stranger = new Person(server, 'rest-stranger');
    for (const path of [`/${chat._id}/messages`, `/${'f'.repeat(24)}/messages`]) {
      const answer = await stranger.call('GET', path);
      assert.deepEqual([answer.status, answer.message], [403, 'Access denied']);
    }
    const anonymous = await fetch(`${server.url}/api/chat/my-chats`);
    assert.equal(anonymous.status, 401);
    assert.equal((await anonymous.json()).message, 'Access denied. No token provided.');
    const forged = new Person(server, 'rest-forged', mint('rest-forged', { secret: 'another secret of more than 32 bytes' }));
    assert.equal((await forged.call('GET', '/my-chats')).message, 'Invalid token.');
  });
});

test('the curl lines of the documentation work as they stand', { timeout: 600_000 }, async () => {
  const buyer = new Person(server, 'curl-buyer');
  const shell = async (line, ids) => {
    const command = Object.entries(ids).reduce((text, [name, value]) => text.replaceAll(name, value), line);
    const { stdout } = await promisify(execFile)('bash', ['-c', command]);
    return JSON.parse(stdout);
  };
  const common = { 'http://localhost:3010': server.url, '<jwt-token>': buyer.token };
  const created = await shell(
    `curl -X POST http://localhost:3010/api/chat/create \\
  -H "Authorization: Bearer <jwt-token>" \\
  -H "Content-Type: application/json" \\
  -d '{"participantId": "user_id", "petId": "pet_id"}'`,
    { ...common, user_id: SELLER, pet_id: PET },
  );
  assert.equal(created.message, 'Chat created successfully');
  const sent = await shell(
    `curl -X POST http://localhost:3010/api/chat/chat_id/send \\
  -H "Authorization: Bearer <jwt-token>" \\
  -H "Content-Type: application/json" \\
  -d '{"content": "Test message", "messageType": "text"}'`,
    { ...common, chat_id: created.data._id },
  );
  assert.deepEqual([sent.success, sent.data.content], [true, 'Test message']);
});

test('a token printed by the command line opens the door', { timeout: 600_000 }, async () => {
  const token = await run('token', '--id', 'cli-user', '--name', 'Somebody', '--jwt-secret', SECRET);
  const person = new Person(server, 'cli-user', token);
  assert.deepEqual((await person.get('/my-chats')).chats, []);
});
