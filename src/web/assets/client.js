/**
 * Keeps the model in step with the server: the event table, opening and catching up, receipts and typing.
 * Every fact also exists behind a REST call, so a missed event is made good by the next catch-up.
 */

import { Api } from './api.js';
import { Outbox } from './outbox.js';
import { Socket } from './socketio.js';

const PAGE = 50;
/** Older messages come in larger pieces: whoever scrolls up wants many. */
const OLDER_PAGE = 100;
/** Pages of catching up after which the newest page alone is fetched, and the rest when somebody scrolls up. */
const CATCH_UP_PAGES = 10;
/** Pages that are fetched to find a message that was quoted. */
const LOOK_UP_PAGES = 50;
/** What changes the list of chats. Each sets a state, so applying one twice does no harm. */
const CHAT_EVENTS = new Set(['newMessage', 'messageRead', 'messageDelivered', 'messageDeleted', 'messagesDeleted', 'chatBlocked', 'newChat', 'chatUpdated', 'unreadCount', 'userStatus']);
/** The server forgets a typing notice after 10 s; a new one well before that keeps it alive. */
const TYPING_REPEAT_MS = 4_000;
const TYPING_IDLE_MS = 3_000;

export class Client {
  openChatId;
  #model;
  #token;
  #renew;
  #refusals = 0;
  #typingSentAt = 0;
  #typingIdle;
  /** While the list of chats is being fetched: the events since. */
  #sinceSnapshot;

  /** @param {Model} model @param {{token: string}} user @param {{transports?: string[], onerror: (message: string) => void, renew: (refusal: Error, times: number) => Promise<string>}} options */
  constructor(model, user, { transports, onerror, renew }) {
    this.#model = model;
    this.#token = user.token;
    this.#renew = renew;
    this.onerror = onerror;
    this.api = new Api(() => this.#token);
    this.socket = new Socket({ auth: () => ({ token: this.#token }), transports });
    this.outbox = new Outbox(model, this.socket, this.api);
    this.#listen();
  }

  /** After a failure: the list of chats, or the messages of the open one, are asked for again. */
  retry() {
    this.#refresh();
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
    await this.#loadOpen();
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
      const { messages, pagination } = await this.api.messages(chatId, { before: conversation.messages[0]._id, limit: OLDER_PAGE });
      conversation.hasOlder = pagination.hasMore;
      this.#model.putOlder(chatId, messages);
    });
    conversation.loadingOlder = false;
    this.#model.changed();
  }

  /** Fetches older messages until this one is there. @returns {Promise<boolean>} whether it is */
  async loadUpTo(chatId, messageId) {
    const conversation = this.#model.conversation(chatId);
    const isThere = () => conversation.messages.some(({ _id }) => _id === messageId);
    for (let page = 0; page < LOOK_UP_PAGES && !isThere() && conversation.hasOlder; page += 1) {
      const before = conversation.messages.length;
      await this.loadOlder(chatId);
      if (conversation.messages.length === before) break;
    }
    return isThere();
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

  /** Whom this person has blocked. The answer is the whole truth, so the last one that comes is right. */
  loadBlockedUsers() {
    return this.#guard(async () => this.#model.setBlockedUsers(await this.api.blockedUsers()));
  }

  async setUserBlocked(userId, isBlocked) {
    await this.#guard(() => this.api.setUserBlocked(userId, isBlocked));
    await this.loadBlockedUsers();
  }

  /** @returns {Promise<boolean>} whether it was taken */
  async report(report) {
    return (await this.#guard(() => this.api.report(report))) !== undefined;
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
      userBlocked: () => this.loadBlockedUsers(),
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
    this.loadBlockedUsers();
    await this.#refresh();
  }

  async #refresh() {
    this.#model.chatsFailure = undefined;
    this.#model.changed();
    try {
      await this.#loadChats();
    } catch (error) {
      this.#model.chatsFailure = error.message;
      this.#model.changed();
      if (this.#model.chatsLoaded) this.onerror(error.message);
      return;
    }
    await this.#loadOpen();
  }

  /** The messages of the open chat; a failure is shown where they would be. */
  async #loadOpen() {
    const chatId = this.openChatId;
    if (!chatId) return;
    const conversation = this.#model.conversation(chatId);
    conversation.failure = undefined;
    this.#model.changed();
    try {
      await this.#catchUp(chatId);
    } catch (error) {
      conversation.failure = error.message;
      this.#model.changed();
      if (conversation.loaded) this.onerror(error.message);
    }
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

  /** The token is no longer good: another one is fetched or asked for. How often that makes sense is for `renew` to say. */
  async #onRefused(error) {
    this.#refusals += 1;
    this.#model.setConnection({ state: 'refused', message: error.message });
    await this.#guard(async () => {
      this.#token = await this.#renew(error, this.#refusals);
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
    let pages = 0;
    for (let more = after !== undefined; more; pages += 1) {
      if (pages === CATCH_UP_PAGES) {
        conversation.messages = [];
        conversation.loaded = false;
        break;
      }
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
