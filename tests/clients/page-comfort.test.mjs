// The chat page in a real Chromium: what makes it pleasant. Search, languages, themes, the viewer, the keyboard, long histories,
// what is shown when there is nothing or something failed, and the page without a demo.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertClean, launch, openPage } from './support/browser.mjs';
import { act, chatWith, message, messages, openChat, withStatus, tickOf, write } from './support/messenger.mjs';
import { PNG, demoPerson, mediaForm, pair } from './support/rest.mjs';
import { Server, mint } from './support/server.mjs';

let server;
let browser;
let pages = [];
before(async () => {
  server = await Server.start('--web-ui', 'on');
  browser = await launch();
});
afterEach(async () => {
  await Promise.all(pages.map((page) => page.context().close()));
  pages = [];
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function blankPage(options) {
  const page = await openPage(browser, options);
  pages.push(page);
  return page;
}

async function pageOf(user, options) {
  const page = await blankPage(options);
  await page.goto(`${server.url}/?user=user-${user}`);
  await chatWith(page, user === 'asha' ? 'rohan' : 'asha').waitFor();
  await page.getByTestId('banner').and(page.locator('[data-state="online"]')).waitFor({ state: 'attached' });
  return page;
}

const shownChats = (page) => page.locator('.chat-item').evaluateAll((items) => items.map((item) => item.dataset.with));
const colourOf = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

/** Where a message is on the screen. */
const topOf = (page, seq) => page.locator(`[data-seq="${seq}"]`).evaluate((row) => Math.round(row.getBoundingClientRect().top));

/**
 * A history of `count` messages between Asha and Rohan that only this page sees; it ends where the real one does, so that what
 * comes in follows it. Gives how often it was asked for a part, and the numbers of the messages.
 */
async function longHistory(page, count) {
  const asha = await demoPerson(server, 'user-asha');
  const { chats } = await asha.get('/my-chats');
  const chat = chats.find(({ participants }) => participants.some(({ _id }) => _id === 'user-rohan'));
  const { pagination } = await asha.get(`/${chat._id}/messages`);
  const seqOf = (number) => number + pagination.totalMessages - count;
  const asked = { times: 0, seqOf, chatId: chat._id };
  const sender = { _id: 'user-rohan', name: 'Rohan' };
  const said = (number) => ({
    _id: number.toString(16).padStart(24, '0'), chat: chat._id, seq: seqOf(number), sender, content: `line ${number}. ${'word '.repeat(number % 13)}`, messageType: 'text',
    status: 'read', readBy: ['user-asha'], isDeleted: false, mediaUrl: null, reactions: [], createdAt: new Date(Date.now() - (count - number) * 600_000).toISOString(),
    parentMessage: number === count ? said(7) : null,
  });
  await page.route('**/api/chat/*/messages?**', (route) => {
    const url = new URL(route.request().url());
    const [limit, before] = [Number(url.searchParams.get('limit')), url.searchParams.get('before')];
    asked.times += 1;
    const end = before ? Number.parseInt(before, 16) : count + 1;
    const first = Math.max(1, end - limit);
    const list = Array.from({ length: end - first }, (_, index) => said(first + index));
    return route.fulfill({ json: { success: true, message: '', data: { messages: list, pagination: { hasMore: first > 1 } } } });
  });
  return asked;
}

describe('the chat page', { timeout: 600_000 }, () => {
  test('the search finds names, pets, cities and words, and says when there is nothing', async () => {
    const page = await pageOf('asha');
    const all = await shownChats(page);
    await page.keyboard.press('/');
    assert.ok(await page.getByTestId('search').evaluate((input) => input === document.activeElement));
    for (const [text, expected] of [['ROH', ['user-rohan']], ['persian mumbai', ['user-meera']], ['advance', ['user-rohan']], ['शुक्रिया', ['user-farida']]]) {
      await page.getByTestId('search').fill(text);
      assert.deepEqual(await shownChats(page), expected, text);
    }
    await page.getByTestId('search').fill('xylophone');
    await page.getByTestId('state').filter({ hasText: 'xylophone' }).waitFor();
    assert.deepEqual(await shownChats(page), []);
    await page.getByTestId('clear-search').click();
    assert.deepEqual(await shownChats(page), all);
    await page.getByTestId('search').fill('rohan');
    await page.getByTestId('search').press('Enter');
    await page.getByRole('heading', { level: 2, name: 'Rohan' }).waitFor();
    assertClean(page, server);
  });

  test('in Hindi everything is, after a choice that is remembered', async () => {
    const page = await pageOf('asha');
    await page.getByTestId('settings').click();
    await page.getByTestId('language-hi').click({ force: true });
    await page.getByTestId('tab-chats').filter({ hasText: 'चैट' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'hi');
    await page.reload();
    await page.getByTestId('tab-pets').click();
    await page.getByTestId('ask-pet-persian-kitten').filter({ hasText: 'विक्रेता से बात करें' }).waitFor();
    await openChat(page, 'rohan');
    assert.equal(await page.getByTestId('composer').getAttribute('placeholder'), 'संदेश लिखें');
    const english = await page.evaluate(async () => {
      const [{ default: en }, { default: hi }] = await Promise.all([import('/web/strings-en.js'), import('/web/strings-hi.js')]);
      return [Object.keys(en).filter((key) => !(key in hi)), Object.keys(hi).filter((key) => !(key in en))];
    });
    assert.deepEqual(english, [[], []], 'both tables have the same keys');
    assertClean(page, server);
  });

  test('a browser that prefers Hindi gets it', async () => {
    const page = await pageOf('asha', { locale: 'hi-IN' });
    await page.getByTestId('tab-chats').filter({ hasText: 'चैट' }).waitFor();
  });

  test('dark and light follow the device, until one is chosen', async () => {
    const page = await pageOf('asha', { colorScheme: 'light' });
    const light = await colourOf(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await colourOf(page);
    assert.notEqual(light, dark);
    await page.getByTestId('settings').click();
    await page.getByTestId('theme-light').check({ force: true });
    assert.equal(await colourOf(page), light);
    await page.reload();
    await chatWith(page, 'rohan').waitFor();
    assert.equal(await colourOf(page), light, 'remembered');
    assertClean(page, server);
  });

  test('the viewer goes from picture to picture and zooms', async () => {
    const asha = await demoPerson(server, 'user-asha');
    const page = await pageOf('asha');
    await openChat(page, 'farida');
    const chatId = new URL(page.url()).hash.slice('#chat='.length);
    for (const caption of ['first picture', 'second picture']) await asha.post(`/${chatId}/send-media`, mediaForm(PNG, { caption }));
    await message(page, 'second picture').getByTestId('media').click();
    const viewer = page.getByTestId('viewer');
    await viewer.filter({ hasText: 'second picture' }).waitFor();
    assert.ok(await viewer.getByTestId('viewer.next').isDisabled());
    await page.keyboard.press('ArrowLeft');
    await viewer.filter({ hasText: 'first picture' }).waitFor();
    await viewer.getByTestId('viewer-picture').click();
    await viewer.and(page.locator('.is-zoomed')).waitFor();
    await page.keyboard.press('Escape');
    await viewer.waitFor({ state: 'detached' });
    assertClean(page, server);
  });

  test('an upload shows how far it is and can be cancelled', async () => {
    const page = await pageOf('asha');
    await openChat(page, 'farida');
    // Nothing of a file arrives while the route is held.
    let arrived;
    const held = new Promise((resolve) => (arrived = resolve));
    await page.route('**/send-media', (route) => arrived(route));
    await page.getByTestId('file-input').setInputFiles({ name: 'slow.png', mimeType: 'image/png', buffer: PNG });
    await page.getByTestId('composer').fill('never mind');
    await page.getByTestId('send').click();
    await held;
    const row = message(page, 'never mind');
    assert.match(await row.getByTestId('upload').innerText(), /\d+ %/);
    await row.getByRole('progressbar').waitFor();
    await row.getByTestId('cancel-upload').click();
    await row.waitFor({ state: 'detached' });
    await page.unroute('**/send-media');
    await page.reload();
    await openChatById(page);
    assert.equal(await message(page, 'never mind').count(), 0);
  });

  const openChatById = (page) => messages(page).first().waitFor();

  test('what is no picture and no video is refused before it is sent', async () => {
    const page = await pageOf('asha');
    await openChat(page, 'farida');
    await page.getByTestId('file-input').setInputFiles({ name: 'notes.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7') });
    await page.getByTestId('notice').filter({ hasText: 'Only pictures and videos' }).waitFor();
    assert.equal(await page.getByTestId('file-preview').count(), 0);
  });

  test('without a mouse: through the list, from message to message, reply, delete, and back to writing', async () => {
    const page = await pageOf('kabir');
    await page.keyboard.press('/');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByTestId('composer').and(page.locator(':focus')).waitFor();
    await page.keyboard.type('typed by hand');
    await page.keyboard.press('Enter');
    await withStatus(tickOf(page, 'typed by hand'), 'sent');
    await page.keyboard.press('ArrowUp');
    await message(page, 'typed by hand').and(page.locator(':focus')).waitFor();
    await page.keyboard.press('ArrowUp');
    assert.equal(await message(page, 'typed by hand').and(page.locator(':focus')).count(), 0);
    const answered = await page.locator('.message:focus .words').innerText();
    await page.keyboard.press('r');
    await page.locator('.strip .quote-text').filter({ hasText: answered }).waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.strip .quote-text').waitFor({ state: 'detached' });
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Delete');
    await page.getByTestId('confirm').click();
    await message(page, 'This message was deleted').last().waitFor();
    assertClean(page, server);
  });

  test('a screen reader hears what comes in, once', async () => {
    const [kabir, asha] = await Promise.all([pageOf('kabir'), demoPerson(server, 'user-asha')]);
    await openChat(kabir, 'asha');
    const chatId = new URL(kabir.url()).hash.slice('#chat='.length);
    await messages(kabir).first().waitFor();
    assert.equal(await kabir.getByTestId('news').innerText(), '');
    await asha.post(`/${chatId}/send`, { content: 'hear this' });
    await kabir.getByTestId('news').filter({ hasText: 'Asha: hear this' }).waitFor({ state: 'attached' });
    assert.equal(await kabir.locator('.scroller').getAttribute('aria-live'), 'off');
  });

  test('a history of thousands: a bounded page, nothing skipped, nothing jumps, and back to the newest', async () => {
    const page = await pageOf('asha');
    const asked = await longHistory(page, 3000);
    await openChat(page, 'rohan');
    await page.locator(`[data-seq="${asked.seqOf(3000)}"]`).waitFor();
    const seen = await page.evaluate(async (begin) => {
      const scroller = document.querySelector('.scroller');
      const rows = () => [...document.querySelectorAll('.message')].map((row) => Number(row.dataset.seq));
      const frame = () => new Promise(requestAnimationFrame);
      const faults = [];
      let most = 0;
      for (let step = 0; step < 20_000; step += 1) {
        // Whoever scrolls by 700 sees what was read 700 further down, whatever is put above it meanwhile.
        const row = [...document.querySelectorAll('.message')].find((one) => one.getBoundingClientRect().bottom > 0);
        const { seq } = row.dataset;
        const goal = row.getBoundingClientRect().top + Math.min(700, scroller.scrollTop);
        scroller.scrollTop -= 700;
        await frame();
        const same = document.querySelector(`.message[data-seq="${seq}"]`)?.getBoundingClientRect().top;
        // At the very top the line that says so comes and goes.
        if (same !== undefined && scroller.scrollTop > 100 && Math.abs(same - goal) > 2) faults.push(`${seq} is at ${same}, not at ${goal}`);
        const shown = rows();
        most = Math.max(most, shown.length);
        if (shown.some((seq, index) => index > 0 && seq !== shown[index - 1] + 1)) faults.push(shown);
        if (shown[0] === begin && scroller.scrollTop === 0) return { most, faults };
      }
      return { most, faults: ['the beginning was never reached'] };
    }, asked.seqOf(1));
    assert.deepEqual(seen.faults, []);
    assert.ok(seen.most <= 160, `${seen.most} messages on the page`);
    assert.ok(asked.times >= 30, `${asked.times} parts`);
    await page.getByTestId('begin').filter({ hasText: 'begins' }).waitFor();

    // Somebody reads in the middle while messages come in.
    await page.locator('.scroller').evaluate((scroller) => scroller.scrollBy(0, 2_000));
    const reading = Number(await page.evaluate(() => [...document.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().top > 300).closest('.message').dataset.seq));
    const top = await topOf(page, reading);
    const rohan = await demoPerson(server, 'user-rohan');
    await rohan.post(`/${asked.chatId}/send`, { content: 'and now?' });
    await page.locator('.jump-count').filter({ hasText: /\d/ }).waitFor();
    assert.equal(await topOf(page, reading), top, 'what is read stays where it is');
    await page.getByTestId('jump').click();
    await page.getByTestId('jump').waitFor({ state: 'hidden' });
    await page.waitForFunction(() => {
      const { scrollTop, scrollHeight, clientHeight } = document.querySelector('.scroller');
      return scrollHeight - scrollTop - clientHeight < 2;
    });
    assert.ok((await messages(page).count()) <= 161);
  });

  test('a quote leads to the message it quotes, however far back', async () => {
    const page = await pageOf('asha');
    const { seqOf } = await longHistory(page, 900);
    await openChat(page, 'rohan');
    await page.locator(`[data-seq="${seqOf(900)}"]`).getByTestId('quote').click();
    await page.locator(`[data-seq="${seqOf(7)}"]`).and(page.locator(':focus')).waitFor();
    await page.getByTestId('jump').waitFor();
    assert.ok((await messages(page).count()) <= 160);
  });

  test('failures are shown where the thing would be, with the way to try again', async () => {
    const page = await blankPage();
    await page.route('**/api/chat/my-chats**', (route) => route.fulfill({ status: 503, json: { success: false, message: 'The server is full', error: 'unavailable', data: null } }));
    await page.goto(`${server.url}/?user=user-asha`);
    await page.getByTestId('state').filter({ hasText: 'The server is full' }).waitFor();
    await page.unroute('**/api/chat/my-chats**');
    await page.route('**/messages?**', (route) => route.fulfill({ status: 507, json: { success: false, message: 'Nothing works', error: 'storage_full', data: null } }));
    await page.getByTestId('retry-chats').click();
    await openChat(page, 'rohan');
    await page.getByTestId('state').filter({ hasText: 'Nothing works' }).waitFor();
    await page.unroute('**/messages?**');
    await page.getByTestId('retry-messages').click();
    await message(page, 'Is this puppy still available').waitFor();
  });

  test('a picture from another host is not fetched: initials stand for it', async () => {
    const page = await blankPage();
    await page.route('**/api/chat/my-chats**', async (route) => {
      const answer = await (await route.fetch()).json();
      for (const chat of answer.data.chats) for (const person of chat.participants) person.profilePicture = 'https://pictures.example/x.png';
      await route.fulfill({ json: answer });
    });
    await page.goto(`${server.url}/?user=user-asha`);
    await chatWith(page, 'rohan').locator('.avatar-initials').filter({ hasText: 'R' }).waitFor();
    assertClean(page, server);
  });

  test('on a phone a message offers what can be done with it when it is touched', async () => {
    const page = await pageOf('rohan', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await openChat(page, 'asha');
    await write(page, 'from my phone');
    await message(page, 'from my phone').locator('.bubble').tap();
    await message(page, 'from my phone').getByTestId('reply').tap();
    await page.locator('.strip .quote-text').filter({ hasText: 'from my phone' }).waitFor();
    assertClean(page, server);
  });
});

describe('the chat page without a demo', { timeout: 600_000 }, () => {
  let plain;
  before(async () => (plain = await Server.startPlain('--web-ui', 'on')));
  after(() => plain?.stop());

  test('asks for a token, keeps it in the tab, and forgets it', async () => {
    const page = await blankPage();
    await page.goto(plain.url);
    await page.getByTestId('token').fill('no token');
    await page.getByTestId('sign-in').click();
    await page.getByRole('alert').filter({ hasText: 'This is not a token' }).waitFor();
    await page.getByTestId('token').fill(`Bearer ${mint('tara', { name: 'Tara Devi' })}`);
    await page.getByTestId('sign-in').click();
    await page.getByTestId('state').filter({ hasText: 'No conversations yet' }).waitFor();
    await page.locator('.me-name').filter({ hasText: 'Tara Devi' }).waitFor();
    assert.equal(await page.locator('.me .avatar-initials').innerText(), 'TD');
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage)), '{}');
    await page.getByTestId('switch-user').click();
    await page.getByTestId('token').waitFor();
    assertClean(page, plain);
  });

  test('a token in the address opens the chats and leaves the address', async () => {
    const page = await blankPage();
    await page.goto(`${plain.url}/#token=${mint('uma', { name: 'Uma' })}`);
    await page.locator('.me-name').filter({ hasText: 'Uma' }).waitFor();
    assert.equal(new URL(page.url()).hash, '');
    await page.goto(`${plain.url}/#token=${mint('vera', { name: 'Vera' })}`);
    await page.locator('.me-name').filter({ hasText: 'Vera' }).waitFor();
    assert.equal(new URL(page.url()).hash, '');
    const refused = await blankPage();
    await refused.goto(`${plain.url}/#token=${mint('uma', { secret: 'of somebody else, who is not the server at all' })}`);
    await refused.getByRole('alert').filter({ hasText: 'did not accept this token' }).waitFor();
    await refused.getByTestId('token').fill(mint('uma', { name: 'Uma' }));
    await refused.getByTestId('sign-in').click();
    await refused.getByTestId('state').filter({ hasText: 'No conversations yet' }).waitFor();
  });

  test('a token that ends asks for another one, and the conversation goes on', async () => {
    const { one, two, chat } = await pair(plain, 'ends');
    const page = await blankPage();
    await page.goto(`${plain.url}/#token=${mint(one.id, { name: one.id, seconds: 1 })}`);
    await page.getByRole('alert').filter({ hasText: 'did not accept this token' }).waitFor();
    await page.getByTestId('token').fill(one.token);
    await page.getByTestId('sign-in').click();
    await page.getByTestId(`chat-${chat._id}`).click();
    await write(page, 'still here');
    await withStatus(tickOf(page, 'still here'), 'sent');
    const { messages: stored } = await two.get(`/${chat._id}/messages`);
    assert.equal(stored.at(-1).content, 'still here');
  });

  test('the name is the one that the server knows', async () => {
    const { one } = await pair(plain, 'named');
    await fetch(`${plain.url}/api/chat/my-chats`, { headers: { Authorization: `Bearer ${mint(one.id, { name: 'Named Before' })}` } });
    const page = await blankPage();
    await page.goto(`${plain.url}/#token=${mint(one.id, { name: '' })}`);
    await page.locator('.me-name').filter({ hasText: 'Named Before' }).waitFor();
  });

  test('a token that says nonsense is one like any other that is no good', async () => {
    for (const claims of [{ id: 'x', name: 1 }, { id: 'x', name: { first: 'x' } }, { id: 'x', profilePicture: 7 }]) {
      const page = await blankPage();
      await page.goto(`${plain.url}/#token=a.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c`);
      await page.getByRole('alert').filter({ hasText: 'did not accept this token' }).waitFor();
    }
    const page = await blankPage();
    await page.goto(`${plain.url}/#token=a.${Buffer.from('{"id":{}}').toString('base64url')}.c`);
    await page.getByTestId('token').waitFor();
  });
});
