/** Writing: text, a picture or video with a caption, and what is being answered. Drafts are kept per chat. */

import { fill, h, icon, releasePreview } from './dom.js';
import { preview } from './format.js';
import { t } from './language.js';

/** The server's limit, in UTF-16 units, which is what `maxLength` counts. */
const LONGEST = 1000;
const TALLEST_PX = 144;

/**
 * @param {{onsend: (text: string, parent?: object) => void, onfile: (file: File, caption: string) => void,
 *          ontyping: () => void, onidle: () => void, onup: () => void, onrefuse: (reason: string) => void}} actions
 */
export function composerView({ onsend, onfile, ontyping, onidle, onup, onrefuse }) {
  const drafts = new Map();
  let chatId;
  let parent;
  let file;
  let previewUrl;

  const input = h('textarea', { rows: 1, maxLength: LONGEST, placeholder: t('composer.placeholder'), 'aria-label': t('composer.label'), dir: 'auto', enterKeyHint: 'send', data: { testid: 'composer' } });
  const counter = h('span', { class: 'counter', 'aria-live': 'polite' });
  const picker = h('input', { type: 'file', accept: 'image/*,video/*', class: 'visually-hidden', tabIndex: -1, 'aria-hidden': 'true', data: { testid: 'file-input' } });
  const attach = h('button', { class: 'icon-button', type: 'button', 'aria-label': t('composer.attach'), title: t('composer.attach'), on: { click: () => picker.click() } }, icon('attach'));
  const send = h('button', { class: 'send-button', type: 'submit', 'aria-label': t('composer.send'), data: { testid: 'send' } }, icon('send'));
  const strip = h('div', { class: 'strip' });
  const form = h('form', { class: 'composer' }, strip, h('div', { class: 'composer-row' }, attach, picker, h('div', { class: 'composer-field' }, input, counter), send));

  function refresh() {
    input.style.height = 'auto';
    input.style.height = `${Math.min(input.scrollHeight, TALLEST_PX)}px`;
    const left = LONGEST - input.value.length;
    counter.textContent = left <= 100 ? t('composer.left', { count: left }) : '';
    send.disabled = input.value.trim() === '' && !file;
    fill(strip, `${parent?._id ?? ''}|${previewUrl ?? ''}`, () => [parent && replyStrip(), file && fileStrip()]);
  }

  function replyStrip() {
    return h('div', { class: 'strip-reply' },
      h('span', { class: 'quote' }, h('span', { class: 'quote-name' }, t('composer.replyTo', { name: parent.sender.name })), h('span', { class: 'quote-text' }, preview(parent))),
      h('button', { class: 'icon-button', type: 'button', 'aria-label': t('composer.noReply'), on: { click: () => setParent(undefined) } }, icon('close')));
  }

  function fileStrip() {
    const isVideo = file.type.startsWith('video/');
    return h('div', { class: 'strip-file', data: { testid: 'file-preview' } },
      isVideo ? h('video', { src: previewUrl, muted: true }) : h('img', { src: previewUrl, alt: '' }),
      h('span', { class: 'strip-name' }, file.name, h('small', {}, megabytes(file.size))),
      h('button', { class: 'icon-button', type: 'button', 'aria-label': t('composer.removeFile'), on: { click: () => setFile(undefined) } }, icon('close')));
  }

  function setParent(message) {
    parent = message;
    refresh();
    input.focus();
  }

  function setFile(chosen) {
    if (chosen && !/^(image|video)\//.test(chosen.type)) {
      onrefuse(t('composer.wrongFile'));
      return;
    }
    releasePreview(previewUrl);
    file = chosen;
    previewUrl = chosen && URL.createObjectURL(chosen);
    picker.value = '';
    refresh();
    input.focus();
  }

  function submit() {
    const text = input.value.trim();
    if (text === '' && !file) return;
    if (file) onfile(file, text);
    else onsend(text, parent);
    input.value = '';
    parent = undefined;
    setFile(undefined);
    onidle();
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && (parent || file)) {
      setFile(undefined);
      setParent(undefined);
    }
    if (event.key === 'ArrowUp' && input.value === '') {
      event.preventDefault();
      onup();
    }
    // Enter during an input method's composition chooses a word (Hindi keyboards among them).
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  input.addEventListener('input', () => {
    refresh();
    if (input.value === '') onidle();
    else ontyping();
  });
  input.addEventListener('blur', onidle);
  input.addEventListener('paste', (event) => {
    const [pasted] = event.clipboardData.files;
    if (pasted) setFile(pasted);
  });
  picker.addEventListener('change', () => picker.files[0] && setFile(picker.files[0]));

  return {
    element: form,
    setFile,
    reply: setParent,
    /** Another chat is open now: put this draft away and bring out the other. */
    open(nextChatId) {
      if (chatId) drafts.set(chatId, input.value);
      chatId = nextChatId;
      input.value = drafts.get(chatId) ?? '';
      parent = undefined;
      releasePreview(previewUrl);
      file = previewUrl = undefined;
      refresh();
    },
    focus: () => input.focus(),
  };
}

function megabytes(bytes) {
  return bytes < 100_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
