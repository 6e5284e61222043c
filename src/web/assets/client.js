/**
 * Keeps the model in step with the server: the event table, opening and catching up, receipts and typing.
 * Every fact also exists behind a REST call, so a missed event is made good by the next catch-up.
 */

import { Api, demoSession } from './api.js';
import { Outbox } from './outbox.js';
import { Socket } from './socketio.js';

const PAGE = 50;
/** What changes the list of chats. Each sets a state, so applying one twice does no harm. */
const CHAT_EVENTS = new Set(['newMessage', 'messageRead', 'messageDelivered', 'messageDeleted', 'messagesDeleted', 'chatBlocked', 'newChat', 'chatUpdated', 'unreadCount', 'userStatus']);
/** The server forgets a typing notice after 10 s; a new one well before that keeps it alive. */
const TYPING_REPEAT_MS = 4_000;
const TYPING_IDLE_MS = 3_000;

export class Client {
  openChatId;
  #model;
  #token;
  #refusals = 0;
  #typingSentAt = 0;
  #typingIdle;
  /** While the list of chats is being fetched: the events since. */
  #sinceSnapshot;

  /** @param {Model} model @param {{token: string}} user @param {{transports?: string[], onerror: (message: string) => void}} options */
  constructor(model, user, { transports, onerror }) {
    this.#model = model;
    this.#token = user.token;
    this.onerror = onerror;
    this.api = new Api(() => this.#token);
    this.socket = new Socket({ auth: () => ({ token: this.#token }), transports });
    this.outbox = new Outbox(model, this.socket, this.api);
    this.#listen();
  }

  start() {
    this.socket.connect();
  }

  /** Makes a chat the open one: joins its room, and loads or refreshes its messages. */
  async openChat(chatId) {
    if (this.openChatId === chatId) return;
    this.closeChat();
    this.openChatId = chatId;
    this.#join();
    await this.#guard(() => this.#loadNewest(chatId));
  }

  closeChat() {
    if (!this.openChatId) return;
    this.stopTyping();
    this.socket.emit('leave-chat', { chatId: this.openChatId });
    this.openChatId = undefined;
  }

  async loadOlder(chatId) {
    const conversation = this.#model.conversation(chatId);
    if (conversation.loadingOlder || !conversation.hasOlder) return;
    conversation.loadingOlder = true;
    this.#model.changed();
    await this.#guard(async () => {
      const { messages, pagination } = await this.api.messages(chatId, { before: conversation.messages[0]._id, limit: PAGE });
      conversation.hasOlder = pagination.hasMore;
      this.#model.putMessages(messages);
    });
    conversation.loadingOlder = false;
    this.#model.changed();
  }

  /** The newest message is on the screen of a person who is looking. */
  markRead(chatId) {
    const conversation = this.#model.conversation(chatId);
    const newest = conversation.messages.findLast(({ sender }) => sender._id !== this.#model.me._id);
    if (!newest || conversation.readUpTo === newest._id || newest.readBy.includes(this.#model.me._id)) return;
    if (this.socket.emit('markAsRead', { chatId, messageId: newest._id })) conversation.readUpTo = newest._id;
  }

  /** Called on every keystroke: says so now and then, and takes it back after a pause. */
  typing() {
    clearTimeout(this.#typingIdle);
    this.#typingIdle = setTimeout(() => this.stopTyping(), TYPING_IDLE_MS);
    if (Date.now() - this.#typingSentAt < TYPING_REPEAT_MS) return;
    this.#typingSentAt = Date.now();
    this.socket.emit('typing', { chatId: this.openChatId, isTyping: true });
  }

  stopTyping() {
    clearTimeout(this.#typingIdle);
    if (this.#typingSentAt === 0) return;
    this.#typingSentAt = 0;
    this.socket.emit('typing', { chatId: this.openChatId, isTyping: false });
  }

  /** @returns {Promise<string|undefined>} the id of the chat with the seller about this pet */
  startInquiry(pet) {
    return this.#guard(async () => {
      const chat = await this.api.createChat(pet.owner, pet._id);
      // A known chat stays as it is: its list entry may be newer than this answer.
      const put = () => this.#model.chats.has(chat._id) || this.#model.putChat(chat);
      put();
      this.#sinceSnapshot?.push(put);
      return chat._id;
    });
  }

  deleteMessage(message) {
    return this.#guard(async () => {
      await this.api.deleteMessage(message._id);
      this.#model.tombstones(message.chat, [message._id]);
    });
  }

  toggleBlock(chatId) {
    return this.#guard(async () => {
      const chat = await this.api.toggleBlock(chatId);
      if (Array.isArray(chat?.blockedBy)) this.#model.setBlocked(chatId, chat.blockedBy);
    });
  }

  #listen() {
    const { socket } = this;
    const model = this.#model;
    const events = {
      connect: () => this.#onConnect(),
      disconnect: () => this.#onDisconnect(),
      connect_error: (error) => error.refused && this.#onRefused(error),
      reconnecting: ({ delay }) => model.setConnection({ state: 'offline', retryAt: Date.now() + delay }),
      newMessage: (message) => this.#onMessage(message),
      messageRead: ({ chatId, messageId, userId }) => this.#raise(chatId, messageId, userId, 'read'),
      messageDelivered: ({ chatId, messageId, userId }) => this.#raise(chatId, messageId, userId, 'delivered'),
      messageDeleted: ({ chatId, messageId }) => model.tombstones(chatId, [messageId]),
      messagesDeleted: ({ chatId, messageIds }) => model.tombstones(chatId, messageIds),
      chatBlocked: ({ chatId, blockedBy }) => model.setBlocked(chatId, blockedBy),
      newChat: (chat) => model.putChat(chat),
      chatUpdated: (change) => model.updateChat(change),
      unreadCount: ({ chatId, count }) => model.setUnread(chatId, count),
      userStatus: ({ userId, ...status }) => model.setPresence(userId, status),
      typing: ({ chatId, userId, isTyping }) => model.setTyping(chatId, userId, isTyping),
      // A failed send is shown at its message, with the way to repeat it.
      // A typing notice that came too late, say into a chat just blocked, concerns nobody.
      error: ({ message, event, clientMessageId }) => clientMessageId === undefined && event !== 'typing' && this.onerror(message),
    };
    for (const [event, listener] of Object.entries(events)) {
      socket.on(event, (payload) => {
        listener(payload);
        if (CHAT_EVENTS.has(event)) this.#sinceSnapshot?.push(() => listener(payload));
      });
    }
  }

  async #onConnect() {
    this.#refusals = 0;
    this.#model.setConnection({ state: 'online' });
    this.socket.emit('online');
    this.#join();
    this.outbox.flush();
    await this.#guard(async () => {
      await this.#loadChats();
      if (this.openChatId) await this.#catchUp(this.openChatId);
    });
  }

  #onDisconnect() {
    this.#typingSentAt = 0;
    for (const [chatId, conversation] of this.#model.conversations) {
      // A closed chat is loaded anew when it is opened; the open one is continued from here.
      if (chatId !== this.openChatId) this.#model.conversations.delete(chatId);
      else conversation.resumeFrom ??= conversation.messages.at(-1)?._id;
      // The last report may not have arrived.
      conversation.readUpTo = undefined;
    }
    this.#model.setConnection({ state: 'offline' });
  }

  /** The token is no longer good: fetch a new one and try again, once. */
  async #onRefused(error) {
    this.#refusals += 1;
    this.#model.setConnection({ state: 'refused', message: error.message });
    if (this.#refusals > 1) return;
    await this.#guard(async () => {
      const { users } = await demoSession();
      this.#token = users.find(({ _id }) => _id === this.#model.me._id).token;
      this.socket.connect();
    });
  }

  #onMessage(message) {
    this.#model.putMessage(message);
    if (!this.#model.chats.has(message.chat)) this.#guard(() => this.#loadChats());
  }

  #raise(chatId, messageId, userId, status) {
    if (userId !== this.#model.me._id) this.#model.raiseStatus(chatId, messageId, status);
  }

  #join() {
    if (this.openChatId) this.socket.emit('join-chat', { chatId: this.openChatId });
  }

  /** The list may be older than an event that overtook its answer, so such events are applied once more on top of it. */
  async #loadChats() {
    const overtaking = (this.#sinceSnapshot = []);
    try {
      const chats = await this.#fetchChats();
      // A second load that began meanwhile knows better.
      if (this.#sinceSnapshot === overtaking) this.#model.setChats(chats);
    } finally {
      if (this.#sinceSnapshot === overtaking) this.#sinceSnapshot = undefined;
    }
    overtaking.forEach((apply) => apply());
  }

  async #fetchChats() {
    const chats = [];
    for (let page = 1, more = true; more; page += 1) {
      const answer = await this.api.myChats(page);
      chats.push(...answer.chats);
      more = answer.pagination.hasMore;
    }
    return chats;
  }

  async #loadNewest(chatId) {
    const conversation = this.#model.conversation(chatId);
    const { messages, pagination } = await this.api.messages(chatId, { limit: PAGE });
    const wasLoaded = conversation.loaded;
    this.#model.putMessages(messages);
    conversation.loaded = true;
    if (!wasLoaded) conversation.hasOlder = pagination.hasMore;
    this.#model.changed();
  }

  /** Everything after the last message seen before the disconnect; then the newest page, for receipts and deletions. */
  async #catchUp(chatId) {
    const conversation = this.#model.conversation(chatId);
    let after = conversation.resumeFrom;
    for (let more = after !== undefined; more; ) {
      const { messages, pagination } = await this.api.messages(chatId, { after, limit: 100 });
      this.#model.putMessages(messages);
      after = messages.at(-1)?._id ?? after;
      more = pagination.hasMore;
    }
    conversation.resumeFrom = undefined;
    await this.#loadNewest(chatId);
  }

  /** Runs a step whose failure is shown to the person, not thrown at them. */
  async #guard(step) {
    try {
      return await step();
    } catch (error) {
      this.onerror(error.message);
      return undefined;
    }
  }
}
