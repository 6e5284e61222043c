/** The page: loads the demo's people, follows the address bar (`?user=`, `#chat=`, `#pets`), and puts the views together. */

import { demoSession } from './api.js';
import { Client } from './client.js';
import { notify } from './dialogs.js';
import { fill, h, icon } from './dom.js';
import { Model } from './model.js';
import { chatsView } from './view-chats.js';
import { conversationView } from './view-conversation.js';
import { peopleView } from './view-people.js';
import { petsView } from './view-pets.js';

const root = document.getElementById('app');
const query = new URLSearchParams(location.search);

try {
  const { users, pets } = await demoSession();
  const me = users.find(({ _id }) => _id === query.get('user'));
  if (me) openMessenger(me, users, pets);
  else root.replaceChildren(peopleView(users, pets));
} catch (error) {
  root.replaceChildren(h('p', { class: 'notice' }, `${error.message}. Reload the page to try again.`));
}

function openMessenger(me, users, pets) {
  const model = new Model(me, pets);
  // `?transport=polling` (or `websocket`) lets anyone see the page work over that transport alone.
  const transports = ['websocket', 'polling'].filter((name) => name === query.get('transport'));
  const client = new Client(model, me, { transports: transports.length > 0 ? transports : undefined, onerror: notify });

  const chats = chatsView(model);
  const conversation = conversationView(model, client);
  const shop = petsView(model, { onask: ask, users: new Map(users.map((user) => [user._id, user])) });
  const banner = h('div', { class: 'banner', role: 'status', data: { testid: 'banner' } });
  const unread = h('span', { class: 'tab-badge' });
  const shell = h('main', { class: 'shell' },
    banner,
    h('section', { class: 'sidebar', 'aria-labelledby': 'chats-title' }, h('h1', { id: 'chats-title', class: 'visually-hidden' }, 'Conversations'), meHeader(me), tabs(unread), chats.element),
    h('div', { class: 'pane' }, shop, conversation.element));
  root.replaceChildren(shell);

  async function ask(pet) {
    const chatId = await client.startInquiry(pet);
    if (chatId) location.hash = `chat=${chatId}`;
  }

  const chatInAddress = () => /^#chat=([0-9a-f]{24})$/.exec(location.hash)?.[1];

  function follow() {
    const chatId = chatInAddress();
    shell.dataset.view = chatId ? 'chat' : location.hash === '#pets' ? 'pets' : 'chats';
    if (chatId) conversation.open(chatId);
    else conversation.close();
    draw();
  }

  function draw() {
    // An address may be old, or somebody else's.
    if (model.chatsLoaded && chatInAddress() && !model.chats.has(chatInAddress())) location.hash = '';
    const total = model.totalUnread();
    chats.update(client.openChatId);
    conversation.update();
    shell.dataset.connection = model.connection.state;
    updateBanner(banner, model.connection, client);
    unread.textContent = total > 0 ? String(total) : '';
    document.title = `${total > 0 ? `(${total}) ` : ''}${me.name} · jivchat demo`;
    for (const tab of shell.querySelectorAll('.tabs a')) {
      const isCurrent = (tab.hash === '#pets') === (shell.dataset.view === 'pets');
      if (isCurrent) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
  }

  model.addEventListener('change', draw);
  addEventListener('hashchange', follow);
  client.start();
  follow();
}

function meHeader(me) {
  return h('header', { class: 'me' },
    h('img', { class: 'avatar', src: me.profilePicture, alt: '', width: 40, height: 40 }),
    h('div', { class: 'me-text' }, h('span', { class: 'me-name' }, me.name), h('span', { class: 'me-hint' }, 'signed in for the demo')),
    h('a', { class: 'icon-button', href: '/', 'aria-label': 'Be somebody else', title: 'Be somebody else', data: { testid: 'switch-user' } }, icon('switch')));
}

function tabs(unread) {
  return h('nav', { class: 'tabs', 'aria-label': 'Main' },
    h('a', { href: '#', data: { testid: 'tab-chats' } }, icon('chats'), 'Chats', unread),
    h('a', { href: '#pets', data: { testid: 'tab-pets' } }, icon('paw'), 'Pets'));
}

function updateBanner(banner, { state, message }, client) {
  const texts = {
    connecting: 'Connecting…',
    offline: 'No connection. Trying again; what you write is kept and sent then.',
    refused: `The server refused the connection: ${message}`,
    online: '',
  };
  banner.dataset.state = state;
  fill(banner, `${state}|${message}`, () => [
    texts[state],
    ['offline', 'refused'].includes(state) && h('button', { class: 'link-button', type: 'button', on: { click: () => client.socket.connect() } }, 'Try now'),
  ]);
}
