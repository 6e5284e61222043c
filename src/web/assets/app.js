/** The page: finds out who is here, follows the address bar (`?user=`, `#chat=`, `#pets`), and puts the views together. */

import { demoSession } from './api.js';
import { Client } from './client.js';
import { notify, showSettings } from './dialogs.js';
import { showBlocked } from './dialogs-people.js';
import { avatar, fill, h, icon } from './dom.js';
import { applyChoices, t } from './language.js';
import { Model } from './model.js';
import { forgetToken, keepToken, personOf, rememberedPerson } from './session.js';
import { chatsView } from './view-chats.js';
import { conversationView } from './view-conversation.js';
import { peopleView } from './view-people.js';
import { petsView } from './view-pets.js';
import { signInView } from './view-signin.js';

/** Refusals that another token may end. */
const OF_THE_TOKEN = new Set(['token_missing', 'token_invalid', 'token_expired', 'user_not_found', 'user_banned']);

const root = document.getElementById('app');
const query = new URLSearchParams(location.search);

// A link with another token, in a tab that is open already.
addEventListener('hashchange', () => {
  if (new URLSearchParams(location.hash.slice(1)).has('token')) location.reload();
});

applyChoices();
// Also where nobody needs one: it must not stay in the address.
const person = rememberedPerson();
try {
  const { users, pets } = await demoSession();
  if (users.length === 0) beginSignedIn();
  else beginDemo(users, pets);
} catch (error) {
  root.replaceChildren(h('main', {}, h('p', { class: 'notice' }, t('app.reload', { reason: error.message }))));
}

function beginDemo(users, pets) {
  const me = users.find(({ _id }) => _id === query.get('user'));
  if (!me) {
    root.replaceChildren(peopleView(users, pets));
    return;
  }
  const renew = async (refusal, times) => {
    if (times > 1) throw refusal;
    return (await demoSession()).users.find(({ _id }) => _id === me._id).token;
  };
  openMessenger(me, { users, pets, renew, leave: { href: '/', label: t('me.switch'), icon: 'switch' }, hint: t('me.demo') });
}

/** Without a demo: whoever brings a token. When it is refused, another one is asked for. */
function beginSignedIn() {
  if (!person) {
    root.replaceChildren(signInView({ onsign: beginWith }));
    return;
  }
  const renew = async (refusal) => {
    if (!OF_THE_TOKEN.has(refusal.data?.code)) throw refusal;
    return askAgain(person);
  };
  const leave = { href: '/', label: t('me.signOut'), icon: 'out', onleave: forgetToken };
  openMessenger(person, { users: [], pets: [], renew, leave, hint: t('me.signedIn') });
}

function beginWith(token) {
  keepToken(token);
  location.reload();
}

/** The page as it is waits behind the question, with what has not been sent yet. */
function askAgain(person) {
  forgetToken();
  const page = [...root.childNodes];
  return new Promise((resolve) => {
    const onsign = (token) => {
      if (personOf(token)._id !== person._id) return beginWith(token);
      keepToken(token);
      root.replaceChildren(...page);
      return resolve(token);
    };
    root.replaceChildren(signInView({ fault: t('signin.refused'), onsign }));
  });
}

function openMessenger(me, { users, pets, renew, leave, hint }) {
  const model = new Model(me, pets);
  // `?transport=polling` (or `websocket`) lets anyone see the page work over that transport alone.
  const transports = ['websocket', 'polling'].filter((name) => name === query.get('transport'));
  const client = new Client(model, me, { transports: transports.length > 0 ? transports : undefined, onerror: notify, renew });

  const chats = chatsView(model, { onretry: () => client.retry() });
  const conversation = conversationView(model, client);
  const shop = pets.length > 0 ? petsView(model, { onask: ask, users: new Map(users.map((user) => [user._id, user])) }) : nothingChosen();
  const banner = h('div', { class: 'banner', role: 'status', data: { testid: 'banner' } });
  const unread = h('span', { class: 'tab-badge' });
  const face = h('div', { class: 'me-face' });
  const shell = h('main', { class: 'shell' },
    h('h1', { class: 'visually-hidden' }, t('app.title')),
    banner,
    h('section', { class: 'sidebar', 'aria-labelledby': 'chats-title' },
      h('h2', { id: 'chats-title', class: 'visually-hidden' }, t('chats.title')),
      meHeader(face, { leave, onblocked: () => showBlocked(model, client) }), pets.length > 0 && tabs(unread), chats.element),
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
    fill(face, JSON.stringify([me.name, me.profilePicture]), () => [avatar(me, 40), h('div', { class: 'me-text' }, h('span', { class: 'me-name' }, me.name), h('span', { class: 'me-hint' }, hint))]);
    document.title = `${total > 0 ? `(${total}) ` : ''}${me.name} · ${t('app.title')}`;
    for (const tab of shell.querySelectorAll('.tabs a')) {
      const isCurrent = (tab.hash === '#pets') === (shell.dataset.view === 'pets');
      if (isCurrent) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
  }

  // A slash leads to the search from anywhere but a place to write.
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target.matches('input, textarea, dialog *')) return;
    event.preventDefault();
    chats.focusSearch();
  });
  model.addEventListener('change', oncePerFrame(draw));
  addEventListener('hashchange', follow);
  client.start();
  follow();
}

/** However much happens, the page is drawn once a frame; a page that nobody sees has no frames and still counts what is unread. */
function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    const now = () => {
      waiting = false;
      draw();
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(now);
    else setTimeout(now, 0);
  };
}

function nothingChosen() {
  return h('section', { class: 'pets state', data: { testid: 'nothing-chosen' } }, icon('chats'), h('h2', {}, t('chats.choose')), h('p', {}, t('chats.chooseText')));
}

function meHeader(face, { leave, onblocked }) {
  const blocked = () => h('section', { class: 'settings-more' }, h('button', { class: 'button', value: 'close', data: { testid: 'blocked-people' }, on: { click: onblocked } }, icon('block'), t('blocked.title')));
  return h('header', { class: 'me' },
    face,
    h('button', { class: 'icon-button', type: 'button', 'aria-label': t('settings.title'), title: t('settings.title'), data: { testid: 'settings' }, on: { click: () => showSettings(blocked()) } }, icon('settings')),
    h('a', { class: 'icon-button', href: leave.href, 'aria-label': leave.label, title: leave.label, data: { testid: 'switch-user' }, on: { click: () => leave.onleave?.() } }, icon(leave.icon)));
}

function tabs(unread) {
  return h('nav', { class: 'tabs', 'aria-label': t('tabs.label') },
    h('a', { href: '#', data: { testid: 'tab-chats' } }, icon('chats'), t('tabs.chats'), unread),
    h('a', { href: '#pets', data: { testid: 'tab-pets' } }, icon('paw'), t('tabs.pets')));
}

function updateBanner(banner, { state, message }, client) {
  const texts = {
    connecting: t('banner.connecting'),
    offline: t('banner.offline'),
    refused: t('banner.refused', { reason: message }),
    online: '',
  };
  banner.dataset.state = state;
  fill(banner, `${state}|${message}`, () => [
    texts[state],
    ['offline', 'refused'].includes(state) && h('button', { class: 'link-button', type: 'button', on: { click: () => client.socket.connect() } }, t('banner.now')),
  ]);
}
