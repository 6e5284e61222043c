// The demo page in a real Chromium: two people, two pages, and everything between them live.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertClean, launch, openPage } from './support/browser.mjs';
import { act, badgeOf, chatWith, message, messages, openChat, tickOf, withStatus, write } from './support/messenger.mjs';
import { PNG, demoPerson } from './support/rest.mjs';
import { Server } from './support/server.mjs';

let server;
let browser;
let pages = [];
before(async () => {
  server = await Server.start();
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

/** The page of a demo user, with the list of chats loaded. */
async function pageOf(user, { transport, at = server, ...options } = {}) {
  const page = await openPage(browser, options);
  pages.push(page);
  await page.goto(`${at.url}/?user=user-${user}${transport ? `&transport=${transport}` : ''}`);
  await page.getByTestId('banner').and(page.locator('[data-state="online"]')).waitFor({ state: 'attached' });
  return page;
}

/** Runs in the page: records a few frames of a canvas. Gives the file in base64. */
async function recordVideo() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d');
  const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: 'video/webm' });
  const chunks = [];
  recorder.ondataavailable = ({ data }) => chunks.push(data);
  const ended = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  for (let frame = 0; frame < 20; frame += 1) {
    context.fillStyle = `hsl(${frame * 18} 80% 50%)`;
    context.fillRect(0, 0, 64, 48);
    await new Promise(requestAnimationFrame);
  }
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

describe('the demo page', { timeout: 600_000 }, () => {
  test('the choice of a person leads to their conversations', async () => {
    const page = await openPage(browser);
    pages.push(page);
    await page.goto(server.url);
    await page.getByTestId('user-user-asha').click();
    await chatWith(page, 'rohan').waitFor();
    const card = await chatWith(page, 'rohan').innerText();
    for (const shown of ['Rohan', 'Golden Retriever puppy', '₹15,000', 'Delhi']) assert.ok(card.includes(shown), `${shown} in ${card}`);
    assert.equal(await badgeOf(page, 'rohan').innerText(), '2');
    await page.getByTestId('switch-user').click();
    await page.getByTestId('user-user-rohan').waitFor();
    assertClean(page, server);
  });

  test('a message crosses live: unread badge up and down, typing, delivered and read ticks', async () => {
    const [lakshmi, gurpreet] = await Promise.all([pageOf('lakshmi'), pageOf('gurpreet')]);
    await openChat(lakshmi, 'gurpreet');
    await chatWith(lakshmi, 'gurpreet').locator('[data-online="true"]').waitFor();

    await write(lakshmi, 'Will he like the beach?');
    await withStatus(tickOf(lakshmi, 'Will he like the beach?'), 'delivered');
    await badgeOf(gurpreet, 'lakshmi').filter({ hasText: /^1$/ }).waitFor();
    await write(lakshmi, 'समुद्र पास में है');
    await badgeOf(gurpreet, 'lakshmi').filter({ hasText: /^2$/ }).waitFor();
    assert.match(await gurpreet.title(), /^\(2\)/);

    await openChat(gurpreet, 'lakshmi');
    await message(gurpreet, 'समुद्र पास में है').waitFor();
    await badgeOf(gurpreet, 'lakshmi').waitFor({ state: 'detached' });
    await withStatus(tickOf(lakshmi, 'समुद्र पास में है'), 'read');
    await withStatus(tickOf(lakshmi, 'Will he like the beach?'), 'read');
    assert.equal(await message(gurpreet, 'समुद्र पास में है').locator('.words').getAttribute('lang'), 'hi');

    await gurpreet.getByTestId('composer').pressSequentially('He loves');
    await lakshmi.getByTestId('typing').filter({ hasText: 'Gurpreet is typing' }).waitFor();
    await gurpreet.getByTestId('composer').blur();
    await lakshmi.getByTestId('typing').waitFor({ state: 'hidden' });
    await gurpreet.getByTestId('composer').press('Enter');
    await message(lakshmi, 'He loves').waitFor();
    for (const page of [lakshmi, gurpreet]) assertClean(page, server);
  });

  test('who leaves is shown as offline', async () => {
    const [lakshmi, gurpreet] = await Promise.all([pageOf('lakshmi'), pageOf('gurpreet')]);
    const dot = (state) => chatWith(lakshmi, 'gurpreet').locator(`[data-online="${state}"]`);
    await dot('true').waitFor();
    await gurpreet.close();
    await dot('false').waitFor();
  });

  test('a picture crosses with its preview and caption, and opens in full size', async () => {
    const [asha, farida] = await Promise.all([pageOf('asha'), pageOf('farida')]);
    await Promise.all([openChat(asha, 'farida'), openChat(farida, 'asha')]);
    await asha.getByTestId('file-input').setInputFiles({ name: 'lake.png', mimeType: 'image/png', buffer: PNG });
    await asha.getByTestId('file-preview').waitFor();
    await asha.getByTestId('composer').fill('The clinic by the lake');
    await asha.getByTestId('send').click();
    for (const page of [asha, farida]) {
      const picture = message(page, 'The clinic by the lake').getByTestId('media');
      await picture.waitFor();
      await page.waitForFunction((image) => image.complete && image.naturalWidth === 8, await picture.elementHandle());
      await picture.and(page.locator('[src^="/uploads/chat_media/chat-"]')).waitFor();
    }
    await message(farida, 'The clinic by the lake').getByRole('button', { name: /full size/ }).click();
    await farida.getByRole('dialog').locator('img').waitFor();
    await farida.keyboard.press('Escape');
    await farida.getByRole('dialog').waitFor({ state: 'detached' });
    for (const page of [asha, farida]) assertClean(page, server);
  });

  test('a video crosses and can be played', async () => {
    const [asha, farida] = await Promise.all([pageOf('asha'), pageOf('farida')]);
    await Promise.all([openChat(asha, 'farida'), openChat(farida, 'asha')]);
    const buffer = Buffer.from(await asha.evaluate(recordVideo), 'base64');
    await asha.getByTestId('file-input').setInputFiles({ name: 'puppy.webm', mimeType: 'video/webm', buffer });
    await asha.getByTestId('composer').fill('See how she runs');
    await asha.getByTestId('send').click();
    const video = message(farida, 'See how she runs').locator('video');
    await video.waitFor();
    await farida.waitForFunction((element) => element.videoWidth === 64, await video.elementHandle());
    await chatWith(farida, 'asha').filter({ hasText: 'Video: See how she runs' }).waitFor();
    for (const page of [asha, farida]) assertClean(page, server);
  });

  test('a file that only pretends to be a picture is refused where it was sent, and can be discarded', async () => {
    const asha = await pageOf('asha');
    await openChat(asha, 'farida');
    await asha.getByTestId('file-input').setInputFiles({ name: 'trick.png', mimeType: 'image/png', buffer: Buffer.from('<script>alert(1)</script>') });
    await asha.getByTestId('send').click();
    const failed = message(asha, 'Only image and video files are allowed');
    await failed.waitFor();
    await failed.getByTestId('discard').click();
    await failed.waitFor({ state: 'detached' });
  });

  test('a buyer asks about a pet, and the seller sees the new conversation at once', async () => {
    const [farida, joseph] = await Promise.all([pageOf('farida'), pageOf('joseph')]);
    await farida.getByTestId('tab-pets').click();
    assert.ok((await farida.getByTestId('pet-aquarium').innerText()).includes('₹1,25,000'));
    await farida.getByTestId('ask-pet-budgies').click();
    await farida.getByRole('heading', { level: 2, name: 'Joseph', exact: true }).waitFor();
    await farida.locator('.pet-bar').filter({ hasText: '₹1,800' }).waitFor();
    await chatWith(joseph, 'farida').filter({ hasText: 'Budgerigar pair with cage' }).waitFor();
    await write(farida, 'Do they sing in the morning?');
    await badgeOf(joseph, 'farida').waitFor();
    // Asking again leads to the same conversation.
    await farida.getByTestId('tab-pets').click();
    await farida.getByTestId('ask-pet-budgies').click();
    await message(farida, 'Do they sing in the morning?').waitFor();
    assert.equal(await chatWith(farida, 'joseph').count(), 1);
  });

  test('a reply quotes what it answers, also after a reload', async () => {
    const [rohan, joseph] = await Promise.all([pageOf('rohan'), pageOf('joseph')]);
    await Promise.all([openChat(rohan, 'joseph'), openChat(joseph, 'rohan')]);
    await act(rohan, 'Can you come to Kochi', 'reply');
    await write(rohan, 'Yes, next month');
    await message(joseph, 'Yes, next month').getByTestId('quote').filter({ hasText: 'Can you come to Kochi' }).waitFor();
    await joseph.reload();
    await message(joseph, 'Yes, next month').getByTestId('quote').waitFor();
    const texts = await messages(joseph).locator('.words').allInnerTexts();
    assert.equal(texts[0], 'Are the budgies a bonded pair?');
    assert.equal(texts.at(-1), 'Yes, next month');
    for (const page of [rohan, joseph]) assertClean(page, server);
  });

  test('a deleted message becomes a tombstone for both', async () => {
    const [kabir, asha] = await Promise.all([pageOf('kabir'), pageOf('asha')]);
    await Promise.all([openChat(kabir, 'asha'), openChat(asha, 'kabir')]);
    await write(kabir, 'sent by mistake');
    await message(asha, 'sent by mistake').waitFor();
    await act(kabir, 'sent by mistake', 'delete');
    await kabir.getByTestId('confirm').click();
    for (const page of [kabir, asha]) {
      await message(page, 'This message was deleted').waitFor();
      assert.equal(await message(page, 'sent by mistake').count(), 0);
      await chatWith(page, page === kabir ? 'asha' : 'kabir').filter({ hasText: 'This message was deleted' }).waitFor();
    }
  });

  test('a blocked chat cannot be written in until it is unblocked', async () => {
    const [meera, asha] = await Promise.all([pageOf('meera'), pageOf('asha')]);
    await Promise.all([openChat(meera, 'asha'), openChat(asha, 'meera')]);
    await meera.getByTestId('menu').click();
    await meera.getByTestId('block').click();
    await meera.getByTestId('confirm').click();
    await asha.getByTestId('blocked').filter({ hasText: 'Meera has blocked this chat' }).waitFor();
    await asha.getByTestId('composer').waitFor({ state: 'hidden' });
    await meera.getByTestId('unblock').click();
    await asha.getByTestId('composer').waitFor();
    await write(asha, 'friends again');
    await message(meera, 'friends again').waitFor();
  });

  test('what looks like markup stays text', async () => {
    const [kabir, asha] = await Promise.all([pageOf('kabir'), pageOf('asha')]);
    await Promise.all([openChat(kabir, 'asha'), openChat(asha, 'kabir')]);
    const text = '<img src=x onerror=alert(1)><b>bold</b>';
    await write(kabir, text);
    await message(asha, text).waitFor();
    assert.equal(await message(asha, text).locator('b, img').count(), 0);
    for (const page of [kabir, asha]) assertClean(page, server);
  });

  test('older messages come when scrolling up, and the newest stay in view when writing', async () => {
    const kabir = await pageOf('kabir');
    await openChat(kabir, 'asha');
    const chatId = await chatWith(kabir, 'asha').getAttribute('href').then((href) => href.slice('#chat='.length));
    const asha = await demoPerson(server, 'user-asha');
    for (let number = 1; number <= 70; number += 1) await asha.post(`/${chatId}/send`, { content: `line ${number}.` });
    await message(kabir, 'line 70.').waitFor();
    await kabir.reload();
    await message(kabir, 'line 70.').waitFor();
    assert.equal(await messages(kabir).count(), 50);
    await kabir.waitForFunction(() => {
      const { scrollTop, scrollHeight, clientHeight } = document.querySelector('.scroller');
      return scrollHeight - scrollTop - clientHeight < 2;
    });
    await kabir.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, 0));
    await message(kabir, 'line 5.').first().waitFor();
    const seqs = await messages(kabir).evaluateAll((rows) => rows.map((row) => Number(row.dataset.seq)));
    assert.deepEqual(seqs, seqs.map((_, index) => seqs[0] + index), 'no gap and no repeat');
    await write(kabir, 'back at the end');
    assert.ok(await message(kabir, 'back at the end').evaluate((row) => row.getBoundingClientRect().bottom <= innerHeight));
    assertClean(kabir, server);
  });

  test('the page works over long-polling alone', async () => {
    const [rohan, asha] = await Promise.all([pageOf('rohan', { transport: 'polling' }), pageOf('asha', { transport: 'polling' })]);
    let websockets = 0;
    rohan.on('websocket', () => (websockets += 1));
    await Promise.all([openChat(rohan, 'asha'), openChat(asha, 'rohan')]);
    await write(rohan, 'over polling');
    await message(asha, 'over polling').waitFor();
    await withStatus(tickOf(rohan, 'over polling'), 'read');
    assert.equal(websockets, 0);
    for (const page of [rohan, asha]) assertClean(page, server);
  });

  test('a token that is no longer good is replaced without a word', async () => {
    const page = await openPage(browser);
    pages.push(page);
    let asked = 0;
    await page.route('**/demo/session.json', async (route) => {
      asked += 1;
      const session = await (await route.fetch()).json();
      if (asked === 1) session.users.forEach((user) => (user.token += 'x'));
      await route.fulfill({ json: session });
    });
    await page.goto(`${server.url}/?user=user-gurpreet`);
    await openChat(page, 'lakshmi');
    await write(page, 'with a fresh token');
    await withStatus(tickOf(page, 'with a fresh token'), 'sent');
    assert.equal(asked, 2);
    assertClean(page, server);
  });

  test('an address that leads to no chat of this person leads to the list', async () => {
    const page = await openPage(browser);
    pages.push(page);
    await page.goto(`${server.url}/?user=user-rohan#chat=${'f'.repeat(24)}`);
    await page.waitForURL((url) => url.hash === '');
    await chatWith(page, 'asha').waitFor();
    await openChat(page, 'asha');
  });

  test('on a phone the list and the chat take turns', async () => {
    const rohan = await pageOf('rohan', { viewport: { width: 390, height: 844 } });
    await openChat(rohan, 'joseph');
    await chatWith(rohan, 'joseph').waitFor({ state: 'hidden' });
    const overflow = await rohan.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, 'nothing sticks out to the side');
    await rohan.getByTestId('back').click();
    await chatWith(rohan, 'joseph').waitFor();
    await rohan.getByTestId('composer').waitFor({ state: 'hidden' });
    assertClean(rohan, server);
  });
});

test('a restart of the server: the banner shows it, what was written meanwhile arrives once, what was missed is fetched', { timeout: 600_000 }, async () => {
  const own = await Server.start();
  try {
    const [rohan, asha] = await Promise.all([pageOf('rohan', { at: own }), pageOf('asha', { at: own })]);
    await Promise.all([openChat(rohan, 'asha'), openChat(asha, 'rohan')]);
    await write(rohan, 'before the restart');
    await message(asha, 'before the restart').waitFor();
    await own.kill('SIGKILL');
    for (const page of [rohan, asha]) await page.getByTestId('banner').filter({ hasText: 'No connection' }).waitFor();
    await write(rohan, 'written without a connection');
    await write(rohan, 'and a second one');
    await withStatus(tickOf(rohan, 'and a second one'), 'sending');
    await own.startAgain();
    await message(asha, 'and a second one').waitFor();
    await withStatus(tickOf(rohan, 'and a second one'), 'read');
    for (const page of [rohan, asha]) {
      const texts = await messages(page).locator('.words').allInnerTexts();
      assert.deepEqual(texts.slice(-3), ['before the restart', 'written without a connection', 'and a second one']);
      await page.getByTestId('banner').filter({ hasText: /./ }).waitFor({ state: 'hidden' });
    }
  } finally {
    await own.stop();
  }
});
