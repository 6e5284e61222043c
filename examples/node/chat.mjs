// Two people talk about a pet. See README.md.

import { randomUUID } from 'node:crypto';
import { io } from 'socket.io-client';

const server = process.argv[2] ?? 'http://localhost:3010';

/** Somebody with a connection of their own. */
class Person {
  constructor({ _id, name, token }) {
    Object.assign(this, { id: _id, name, token });
  }

  async connect() {
    this.socket = io(server, { auth: { token: this.token } });
    this.socket.on('error', ({ message }) => console.error(`${this.name}: ${message}`));
    await new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.once('connect_error', reject);
    });
    this.socket.emit('online');
  }

  /** The chat with a pet's seller; the same one every time it is asked for. */
  async openChat(pet) {
    const response = await fetch(`${server}/api/chat/create`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ petId: pet._id }),
    });
    const { success, message, data } = await response.json();
    if (!success) throw new Error(message);
    return data;
  }

  /** Resolves when the server has stored the message. The id makes it safe to send it again after a timeout. */
  async say(chatId, content) {
    const message = { chatId, content, messageType: 'text', clientMessageId: randomUUID() };
    const ack = await this.socket.timeout(10_000).emitWithAck('sendMessage', message);
    if (!ack.success) throw new Error(ack.message);
    return ack.data;
  }

  /** The next message that somebody else writes in this chat. */
  hears(chatId) {
    return new Promise((resolve) => {
      const listener = (message) => {
        if (message.chat !== chatId || message.sender._id === this.id) return;
        this.socket.off('newMessage', listener);
        this.socket.emit('markAsRead', { chatId, messageId: message._id });
        console.log(`${this.name.padEnd(6)} ← ${message.sender.name}: ${message.content}`);
        resolve(message);
      };
      this.socket.on('newMessage', listener);
    });
  }
}

/** The people and pets of the demo; what keeps it from being there, in one line. */
async function demo() {
  const response = await fetch(`${server}/demo/session.json`).catch(() => undefined);
  const { users = [], pets = [] } = (await response?.json().catch(() => undefined)) ?? {};
  if (users.length > 0) return { users, pets };
  console.error(response ? `${server} has no demo: start jivchat with --demo` : `no server answers at ${server}: start jivchat with --demo, or name another address`);
  process.exit(1);
}

const { users, pets } = await demo();
const pet = pets.find(({ _id }) => _id === 'pet-cockatiel');
const buyer = new Person(users.find(({ _id }) => _id === 'user-rohan'));
const seller = new Person(users.find(({ _id }) => _id === pet.owner));
await Promise.all([buyer.connect(), seller.connect()]);

const chat = await buyer.openChat(pet);
console.log(`${buyer.name} asks ${seller.name} about: ${chat.petListing.title}, ₹${chat.petListing.price}, ${chat.petListing.address}`);

const turns = [
  [buyer, seller, 'Hello! Is the cockatiel still available?'],
  [seller, buyer, 'हाँ! He whistles while you decide.'],
  [buyer, seller, 'Then I have decided. मैं कल आता हूँ।'],
];
for (const [speaker, listener, words] of turns) {
  const heard = listener.hears(chat._id);
  await speaker.say(chat._id, words);
  await heard;
}

for (const person of [buyer, seller]) person.socket.disconnect();
