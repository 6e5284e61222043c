/** An open chat: its head with the pet, its messages or why there are none, and the place to write. */

import { confirm, notify, showPictures } from './dialogs.js';
import { askReport } from './dialogs-people.js';
import { avatar, fill, h, icon, petPicture } from './dom.js';
import { clock, day, lastSeen, preview, price } from './format.js';
import { t } from './language.js';
import { menuButton } from './menu.js';
import { face, stateBlock, updatePresence } from './view-chats.js';
import { composerView } from './view-composer.js';
import { historyView } from './view-history.js';
import { captionOf } from './view-message.js';

/** @returns {{element: Element, open: (chatId: string) => void, close: () => void, update: () => void}} */
export function conversationView(model, client) {
  let chatId;
  let newest;
  let wantsFocus = false;

  const actions = {
    onreply: (message) => composer.reply(message),
    onretry: (entry) => client.outbox.retry(entry),
    ondiscard: (entry) => client.outbox.discard(entry),
    onpicture: (message) => showPicture(message),
    onjump: ({ _id }) => jumpTo(_id),
    onreport: (message) => report({ messageId: message._id }, t('report.message')),
    ondelete: async (message) => {
      if (await confirm({ title: t('delete.question'), text: t('delete.text'), action: t('delete.action') })) client.deleteMessage(message);
    },
  };
  const head = h('header', { class: 'conversation-head' });
  const history = historyView(model, actions, { onolder: () => client.loadOlder(chatId), onread: markRead });
  const state = h('div', { class: 'history-state' });
  const news = h('p', { class: 'visually-hidden', 'aria-live': 'polite', data: { testid: 'news' } });
  const composer = composerView({
    onsend: (text, parent) => whileAtEnd(() => client.outbox.sendText(chatId, text, parent)),
    onfile: (file, caption) => whileAtEnd(() => client.outbox.sendFile(chatId, file, caption)),
    ontyping: () => client.typing(),
    onidle: () => client.stopTyping(),
    onup: () => history.focusLast(),
    onrefuse: notify,
  });
  const blocked = h('div', { class: 'blocked', hidden: true, role: 'status', data: { testid: 'blocked' } });
  const element = h('section', { class: 'conversation', 'aria-label': t('chat.label') }, head, h('div', { class: 'history' }, history.element, state), blocked, composer.element, news);

  function whileAtEnd(send) {
    history.toNewest();
    send();
  }

  async function jumpTo(messageId) {
    const from = chatId;
    const isLoaded = model.conversation(chatId).messages.some(({ _id }) => _id === messageId);
    if (!isLoaded) notify(t('chat.lookingUp'));
    const isThere = await client.loadUpTo(from, messageId);
    if (from !== chatId) return;
    if (isThere) history.show(messageId);
    else notify(t('chat.notFound'));
  }

  /** All pictures that are loaded, from the one that was chosen on. */
  function showPicture(chosen) {
    const stored = model.conversation(chatId).messages.filter((message) => message.messageType === 'image' && message.mediaUrl && !message.isDeleted);
    const all = chosen._id ? stored : [chosen];
    const pictures = all.map((message) => ({
      url: message.previewUrl ?? `/uploads/chat_media/${encodeURIComponent(message.mediaUrl)}`,
      words: captionOf(message),
      about: [message.sender.name, day(message.createdAt), clock(message.createdAt)].join(' · '),
    }));
    showPictures(pictures, Math.max(0, all.findIndex(({ _id }) => _id === chosen._id)));
  }

  /** Reading means: this chat is open, the newest is in view, and somebody is in front of the page. */
  function markRead() {
    const visible = document.visibilityState === 'visible' && element.checkVisibility();
    if (chatId && visible && history.isAtEnd()) client.markRead(chatId);
  }

  async function toggleBlock(chat) {
    const mine = chat.blockedBy.includes(model.me._id);
    const { name } = chat.other;
    if (mine || (await confirm({ title: t('block.questionChat', { name }), text: t('block.text', { name }), action: t('block.blockShort') }))) client.toggleBlock(chat._id);
  }

  async function toggleBlockOfPerson({ other: { _id, name } }) {
    const lifts = model.hasBlocked(_id);
    if (lifts || (await confirm({ title: t('block.question', { name }), text: t('block.personText', { name }), action: t('block.blockShort') }))) client.setUserBlocked(_id, !lifts);
  }

  /** To the marketplace; the other person does not hear of it. */
  async function report(about, title) {
    const { other: { _id, name } } = model.chats.get(chatId);
    const answer = await askReport({ title, name, canBlock: !model.hasBlocked(_id) });
    if (!answer) return;
    if (await client.report({ ...about, reason: answer.reason, text: answer.text })) notify(t('report.thanks'), 'good');
    if (answer.blocks) client.setUserBlocked(_id, true);
  }

  function menuOf(chat, blocksChat) {
    const { _id, name } = chat.other;
    const blocksPerson = model.hasBlocked(_id);
    return menuButton(t('chat.menu'), 'menu', [
      { icon: 'flag', label: t('report.person', { name }), testid: 'report-person', onchoose: () => report({ userId: _id }, t('report.person', { name })) },
      { icon: 'chats', label: t(blocksChat ? 'block.unblockChat' : 'block.blockChat'), testid: 'block', onchoose: () => toggleBlock(model.chats.get(chat._id)) },
      { icon: 'block', label: t(blocksPerson ? 'block.unblock' : 'block.block', { name }), testid: 'block-person', onchoose: () => toggleBlockOfPerson(chat) },
    ]);
  }

  function updateHead(chat) {
    const mine = chat.blockedBy.includes(model.me._id);
    const { name } = chat.other;
    fill(head, `${face(chat)}|${mine}|${model.hasBlocked(chat.other._id)}`, () => [
      h('a', { class: 'icon-button only-narrow', href: '#', 'aria-label': t('chat.back'), data: { testid: 'back' } }, icon('back')),
      h('span', { class: 'avatar-frame' }, avatar(chat.other, 40), h('span', { class: 'presence', data: { testid: 'presence' } })),
      h('div', { class: 'head-text' }, h('h2', {}, name), h('p', { class: 'head-status', data: { testid: 'status' } })),
      menuOf(chat, mine),
      chat.petListing && petBar(chat.petListing),
    ]);
    const presence = model.presence.get(chat.other._id);
    updatePresence(head.querySelector('.presence'), presence?.isOnline);
    const status = presence?.isOnline ? t('presence.online') : lastSeen(presence?.lastSeen);
    head.querySelector('.head-status').textContent = model.connection.state === 'online' ? status : t('presence.waiting');
  }

  function updateFoot(chat) {
    const { _id, name } = chat.other;
    const blocksChat = chat.blockedBy.includes(model.me._id);
    // Somebody was erased: there is nobody to write to.
    const kind = chat.isActive === false ? 'over' : model.hasBlocked(_id) ? 'person' : blocksChat ? 'mine' : chat.blockedBy.length > 0 ? 'theirs' : undefined;
    blocked.hidden = !kind;
    composer.element.hidden = Boolean(kind);
    const lift = { person: () => toggleBlockOfPerson(chat), mine: () => toggleBlock(model.chats.get(chat._id)) }[kind];
    fill(blocked, `${face(chat)}|${kind}`, () => [
      kind && h('p', {}, t(kind === 'over' ? 'chat.over' : `block.${kind}`, { name })),
      lift && h('button', { class: 'button', type: 'button', data: { testid: 'unblock' }, on: { click: lift } }, t('block.unblockShort')),
    ]);
  }

  /** Where the messages would be: that they are coming, that they did not come, or that there are none. */
  function updateState(chat, { loaded, failure, messages }) {
    const isEmpty = messages.length === 0 && !model.pending.some((entry) => entry.chat === chatId);
    const kind = loaded ? isEmpty && 'empty' : failure ? 'failed' : isEmpty && 'loading';
    state.hidden = !kind;
    fill(state, `${kind}|${failure}|${chat.other.name}`, () => {
      if (kind === 'empty') return stateBlock('chats', t('chat.empty', { name: chat.other.name }), t('chat.emptyText'));
      if (kind === 'failed') return stateBlock('warning', t('chat.failed'), failure, h('button', { class: 'button', type: 'button', data: { testid: 'retry-messages' }, on: { click: () => client.retry() } }, t('state.retry')));
      return kind && h('div', { class: 'skeletons', role: 'status', 'aria-label': t('chat.messages') }, ...['other', 'own', 'other', 'own'].map((side) => h('div', { class: `skeleton-bubble is-${side}` })));
    });
  }

  /** Words for those who do not see the new message appear. */
  function tell({ loaded, messages }) {
    const last = messages.at(-1);
    const isNews = loaded && newest !== undefined && last && last._id !== newest && last.sender._id !== model.me._id;
    if (isNews) news.textContent = t('chat.said', { name: last.sender.name, text: preview(last) });
    if (loaded) newest = last?._id ?? '';
  }

  document.addEventListener('visibilitychange', markRead);
  element.addEventListener('dragover', (event) => event.preventDefault());
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped && !composer.element.hidden) composer.setFile(dropped);
  });

  return {
    element,
    open(nextChatId) {
      if (nextChatId === chatId) return;
      chatId = nextChatId;
      newest = undefined;
      news.textContent = '';
      history.open(chatId);
      composer.open(chatId);
      client.openChat(chatId);
      // A phone's keyboard would cover half of what somebody came to read.
      wantsFocus = matchMedia('(min-width: 720px)').matches;
    },
    close() {
      chatId = undefined;
      client.closeChat();
    },
    update() {
      const chat = model.chats.get(chatId);
      element.classList.toggle('is-loading', !chat);
      if (!chat) return;
      const conversation = model.conversation(chatId);
      updateHead(chat);
      updateFoot(chat);
      updateState(chat, conversation);
      history.update();
      tell(conversation);
      // What is hidden cannot be focused: only now is it there.
      if (wantsFocus) composer.focus();
      wantsFocus = false;
      markRead();
    },
  };
}

function petBar(pet) {
  return h('div', { class: 'pet-bar', data: { testid: 'pet-bar' } },
    petPicture(pet, 44),
    h('span', { class: 'pet-bar-title' }, pet.title),
    h('span', { class: 'pet-bar-facts' }, [price(pet.price), pet.address].filter(Boolean).join(' · ')));
}
