/**
 * What the page knows: chats, messages, presence, typing, and what is still being sent. It merges answers and events
 * that may arrive twice or in any order, and tells one listener that something changed. No network and no elements.
 */

const RANK = { sent: 0, delivered: 1, read: 2 };
/** The server ends a typing notice after 10 s; this is for the case that its last word got lost. */
const TYPING_TIMEOUT_MS = 12_000;

/** The messages of one opened chat, ascending by `seq`, without a gap. */
class Conversation {
  messages = [];
  /** Whether the server has messages before the first one here. */
  hasOlder = false;
  loaded = false;
  /** Why the messages are not there, if loading them failed. */
  failure;
  loadingOlder = false;
  /** After a disconnect: the last message before the possible gap. */
  resumeFrom;
  /** The newest message reported as read. */
  readUpTo;
}

export class Model extends EventTarget {
  chats = new Map();
  conversations = new Map();
  presence = new Map();
  /** Messages on their way, oldest first; each has `chat`, `clientMessageId`, `state` and `content`. */
  pending = [];
  connection = { state: 'connecting' };
  chatsLoaded = false;
  /** Why the list is not there, if loading it failed. */
  chatsFailure;
  /** Whom this person has blocked: `{_id, name, profilePicture?}`; nothing until it is known. */
  blockedUsers;
  #typing = new Map();
  #announced = false;

  /** @param {{_id: string}} me @param {object[]} pets */
  constructor(me, pets) {
    super();
    this.me = me;
    this.pets = pets;
  }

  /** Announces a change once per turn of the event loop, however many things changed. */
  changed() {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.dispatchEvent(new Event('change'));
    });
  }

  /** The newest activity first. */
  sortedChats() {
    const time = (chat) => chat.lastMessageTime ?? chat.createdAt;
    return [...this.chats.values()].sort((a, b) => (time(a) < time(b) ? 1 : -1));
  }

  /** Those in which every word of `text` occurs: in the name, the pet, its city, or the last message. */
  searchChats(text) {
    const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    return this.sortedChats().filter(({ other, petListing, lastMessage }) => {
      const said = lastMessage?.isDeleted ? '' : lastMessage?.content;
      const hay = [other.name, petListing?.title, petListing?.breed, petListing?.address, said].filter(Boolean).join('\n').toLocaleLowerCase();
      return words.every((word) => hay.includes(word));
    });
  }

  totalUnread() {
    return [...this.chats.values()].reduce((sum, chat) => sum + chat.unread, 0);
  }

  putChat(chat) {
    const other = chat.participants.find(({ _id }) => _id !== this.me._id);
    const self = chat.participants.find(({ _id }) => _id === this.me._id);
    // The server knows better than a token how its bearer is called.
    if (self) Object.assign(this.me, { name: self.name, profilePicture: self.profilePicture });
    const unread = chat.unreadCount?.find(({ userId }) => userId === this.me._id)?.count ?? 0;
    this.chats.set(chat._id, { ...chat, other, unread });
    this.presence.set(other._id, { isOnline: other.isOnline, lastSeen: other.lastSeen });
    this.changed();
  }

  /** What has changed of a chat without a message: its people or its pet, and whether all are still there. */
  updateChat({ chatId, ...changed }) {
    const chat = this.chats.get(chatId);
    if (chat) this.putChat({ ...chat, ...changed, unreadCount: [{ userId: this.me._id, count: chat.unread }] });
  }

  /** The whole list, as the server has it now. */
  setChats(chats) {
    this.chats.clear();
    chats.forEach((chat) => this.putChat(chat));
    this.chatsLoaded = true;
    this.chatsFailure = undefined;
    this.changed();
  }

  /** The conversation of an opened chat; made empty on first use. */
  conversation(chatId) {
    if (!this.conversations.has(chatId)) this.conversations.set(chatId, new Conversation());
    return this.conversations.get(chatId);
  }

  /** One message from wherever: an event, an ack or a page. */
  putMessage(message) {
    this.pending = this.pending.filter((entry) => !isSame(entry, message, this.me._id));
    const chat = this.chats.get(message.chat);
    const last = chat?.lastMessage;
    if (chat && (!last || last.seq === undefined || message.seq >= last.seq)) {
      chat.lastMessage = merge(last?._id === message._id ? last : undefined, message);
      chat.lastMessageTime = message.createdAt;
    }
    const conversation = this.conversations.get(message.chat);
    if (conversation) insert(conversation.messages, message);
    if (message.sender._id !== this.me._id) this.setTyping(message.chat, message.sender._id, false);
    this.changed();
  }

  putMessages(messages) {
    messages.forEach((message) => this.putMessage(message));
  }

  /** A page from before everything that is known of a chat: in one piece, however long the history is. */
  putOlder(chatId, messages) {
    const known = this.conversation(chatId).messages;
    const isBefore = messages.length > 0 && (known.length === 0 || messages.at(-1).seq < known[0].seq);
    if (isBefore) known.unshift(...messages.map((message) => ({ ...message })));
    else this.putMessages(messages);
    this.changed();
  }

  /** A watermark of the other participant: my messages up to `messageId` have at least this status. */
  raiseStatus(chatId, messageId, status) {
    const messages = this.conversations.get(chatId)?.messages ?? [];
    const mark = messages.findLast(({ _id }) => _id === messageId);
    // Ids ascend in time, which serves where the marked message is not loaded.
    const raise = (message) => {
      const isLower = message.sender._id === this.me._id && RANK[message.status] < RANK[status];
      if (isLower && (mark ? message.seq <= mark.seq : message._id <= messageId)) message.status = status;
    };
    messages.forEach(raise);
    const last = this.chats.get(chatId)?.lastMessage;
    if (last) raise(last);
    this.changed();
  }

  tombstones(chatId, messageIds) {
    const gone = new Set(messageIds);
    const copies = [this.chats.get(chatId)?.lastMessage, ...(this.conversations.get(chatId)?.messages ?? [])];
    for (const message of copies) {
      if (gone.has(message?._id)) bury(message);
      if (gone.has(message?.parentMessage?._id)) bury(message.parentMessage);
    }
    this.changed();
  }

  setUnread(chatId, count) {
    const chat = this.chats.get(chatId);
    if (chat) chat.unread = count;
    this.changed();
  }

  setBlocked(chatId, blockedBy) {
    const chat = this.chats.get(chatId);
    if (chat) chat.blockedBy = blockedBy;
    this.changed();
  }

  setBlockedUsers(users) {
    this.blockedUsers = users;
    this.changed();
  }

  hasBlocked(userId) {
    return this.blockedUsers?.some(({ _id }) => _id === userId) ?? false;
  }

  setPresence(userId, { isOnline, lastSeen }) {
    this.presence.set(userId, { isOnline, lastSeen });
    this.changed();
  }

  setTyping(chatId, userId, isTyping) {
    const key = `${chatId} ${userId}`;
    clearTimeout(this.#typing.get(key));
    if (isTyping) this.#typing.set(key, setTimeout(() => this.setTyping(chatId, userId, false), TYPING_TIMEOUT_MS));
    else if (!this.#typing.delete(key)) return;
    this.changed();
  }

  isTyping(chat) {
    return this.#typing.has(`${chat._id} ${chat.other._id}`);
  }

  setConnection(connection) {
    this.connection = connection;
    this.changed();
  }
}

function isSame(entry, message, me) {
  return message.sender._id === me && entry.clientMessageId === message.clientMessageId;
}

/** Keeps `messages` ascending and each message once. The end of the list is where a message nearly always belongs. */
function insert(messages, message) {
  const index = placeOf(messages, message.seq);
  const known = messages[index - 1]?._id === message._id ? messages[index - 1] : undefined;
  if (known) messages[index - 1] = merge(known, message);
  else messages.splice(index, 0, merge(undefined, message));
}

/** How many messages come before or are this one. The end is looked at first, the rest by halves: a history may be long. */
function placeOf(messages, seq) {
  let [low, high] = [0, messages.length];
  if (high > 0 && messages[high - 1].seq <= seq) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle].seq <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The later news, except that a status never goes back and what was deleted stays deleted. */
function merge(known, message) {
  if (!known) return { ...message };
  const merged = { ...known, ...message };
  if (RANK[known.status] > RANK[message.status]) merged.status = known.status;
  if (known.isDeleted && !message.isDeleted) bury(merged);
  return merged;
}

function bury(message) {
  message.isDeleted = true;
  message.content = 'This message was deleted';
  message.mediaUrl = null;
  message.media = undefined;
}
