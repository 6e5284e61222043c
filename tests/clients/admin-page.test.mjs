// The admin page in a real Chromium: the key, the figures that move, the lists and what can be done there, and the audit log.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertClean, launch, openPage } from './support/browser.mjs';
import { demoPerson } from './support/rest.mjs';
import { Server } from './support/server.mjs';

const KEY = 'the admin key of the client tests';
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const NAME = 'मॉडरेटर One';

let server;
let browser;
let pages = [];
before(async () => {
  server = await Server.start('--admin-key', KEY);
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

/** The admin page, past the question for the key. */
async function adminPage(view = 'figures', options) {
  const page = await blankPage(options);
  await page.goto(`${server.url}/admin#${view}`);
  await page.getByTestId('key').fill(KEY);
  await page.getByTestId('name').fill(NAME);
  await page.getByTestId('enter').click();
  await page.getByTestId('sign-out').waitFor();
  return page;
}

async function host(method, path) {
  const response = await fetch(`${server.url}/api/admin${path}`, { method, headers: { Authorization: `Bearer ${KEY}` } });
  return (await response.json()).data;
}

const rows = (page) => page.getByTestId('rows').locator('tr');
const number = (page, testid) => page.getByTestId(testid).innerText().then(Number);

/** Waits for the search to have brought exactly these rows. */
async function search(page, text, count) {
  await page.getByTestId('list-search').fill(text);
  await page.waitForFunction(([wanted]) => document.querySelectorAll('[data-testid="rows"] tr').length === wanted && !/Loading/.test(document.querySelector('[data-testid="list-status"]').textContent), [count]);
}

describe('the admin page', { timeout: 600_000 }, () => {
  test('a wrong key opens nothing; the right one is kept in the tab alone', async () => {
    const page = await blankPage();
    await page.goto(`${server.url}/admin`);
    await page.getByTestId('key').fill('a guess');
    await page.getByTestId('enter').click();
    await page.getByTestId('key-fault').filter({ hasText: 'not the key' }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem('jivchat-admin-key')), null);
    await page.getByTestId('key').fill(KEY);
    await page.getByTestId('enter').click();
    await page.getByTestId('tile-connections').waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage)), '{}');
    await page.reload();
    await page.getByTestId('tile-connections').waitFor();
    await page.getByTestId('sign-out').click();
    await page.getByTestId('key').waitFor();
    await page.reload();
    await page.getByTestId('key').waitFor();
    assert.deepEqual([...page.hosts], [new URL(server.url).host]);
  });

  test('without an admin key there is no admin page', async () => {
    const plain = await Server.startPlain();
    try {
      assert.equal((await fetch(`${plain.url}/admin`)).status, 404);
      assert.equal((await fetch(`${plain.url}/web/admin.js`)).status, 404);
    } finally {
      await plain.stop();
    }
  });

  test('the figures move with what happens', async () => {
    const page = await adminPage();
    await page.getByTestId('tile-messages').waitFor();
    const [messages, connections] = [await number(page, 'tile-messages'), await number(page, 'tile-connections')];
    const chatting = await blankPage();
    await chatting.goto(`${server.url}/?user=user-asha`);
    await chatting.locator('.chat-item').first().waitFor();
    const asha = await demoPerson(server, 'user-asha');
    const { chats } = await asha.get('/my-chats');
    for (let count = 0; count < 5; count += 1) await asha.post(`/${chats[0]._id}/send`, { content: `busy ${count}` });
    assert.equal((await asha.call('POST', `/${chats[0]._id}/send`, { content: ' ' })).error, 'content_empty');
    const grown = ([testid, least]) => Number(document.querySelector(`[data-testid="${testid}"]`).textContent) >= least;
    await page.waitForFunction(grown, ['tile-connections', connections + 1]);
    // A new minute may begin meanwhile; the plot and the busiest chats remember the one before.
    const bars = () => [...document.querySelectorAll('.plot-bar')].filter((bar) => Number(bar.getAttribute('height')) > 0).length >= 1;
    await page.waitForFunction(bars);
    assert.equal(messages, 0);
    await page.getByTestId('errors').filter({ hasText: /content_empty\s*1/ }).waitFor();
    const names = chats[0].participants.map(({ name }) => name).join(' and ');
    await page.getByTestId('top-chats').filter({ hasText: names }).waitFor();
    await page.getByTestId('plot-latency').filter({ hasText: /p99 [\d.]*[1-9]/ }).waitFor();
    await page.waitForFunction(() => document.querySelector('[data-testid="plot-connections"] polyline').getAttribute('points').split(' ').length >= 3);
    assert.match(await page.getByTestId('stored-journal').innerText(), /[1-9].* [KM]iB/);
    assert.equal(await number(page, 'tile-slow'), 0);
    for (const one of [page, chatting]) assertClean(one, server);
  });

  test('users are searched, banned and let in again', async () => {
    const page = await adminPage('users');
    await search(page, 'MEERA', 1);
    await page.getByTestId('ban-user-meera').click();
    await page.getByTestId('state-user-meera').filter({ hasText: 'banned' }).waitFor();
    assert.equal((await (await demoPerson(server, 'user-meera')).call('GET', '/my-chats')).error, 'user_banned');
    await page.getByTestId('ban-user-meera').filter({ hasText: 'Unban' }).click();
    await page.getByTestId('state-user-meera').filter({ hasText: 'offline' }).waitFor();
    assert.equal((await host('GET', '/users/user-meera')).isBanned, false);
    await search(page, 'nobody of that name', 0);
    await page.getByTestId('list-status').filter({ hasText: 'Nothing found' }).waitFor();
    assertClean(page, server);
  });

  test('somebody is erased only when their id has been typed', async () => {
    const page = await adminPage('users');
    await search(page, 'joseph', 1);
    await page.getByTestId('erase-user-joseph').click();
    const confirm = page.getByTestId('confirm');
    assert.ok(await confirm.isDisabled());
    await page.getByTestId('confirm-id').fill('user-josep');
    assert.ok(await confirm.isDisabled());
    await page.getByTestId('confirm-id').press('Enter');
    await page.keyboard.press('Escape');
    assert.equal((await host('GET', '/users/user-joseph')).name, 'Joseph');
    await page.getByTestId('erase-user-joseph').click();
    await page.getByTestId('confirm-id').fill('user-joseph');
    await confirm.click();
    await rows(page).first().waitFor({ state: 'detached' });
    assert.equal(await host('GET', '/users/user-joseph'), null);
    assertClean(page, server);
  });

  test('pets are searched and removed', async () => {
    const page = await adminPage('pets');
    await search(page, 'tabby', 1);
    await page.getByTestId('remove-pet-tabby').click();
    await page.getByTestId('confirm-id').fill('pet-tabby');
    await page.getByTestId('confirm').click();
    await rows(page).first().waitFor({ state: 'detached' });
    assert.equal(await host('GET', '/pets/pet-tabby'), null);
  });

  test('reading a conversation leaves a line in the audit log and none in the conversation', async () => {
    const page = await adminPage('users');
    await search(page, 'rohan', 1);
    await rows(page).getByRole('link', { name: 'Chats' }).click();
    await rows(page).first().waitFor();
    const asha = await demoPerson(server, 'user-asha');
    const { chats } = await asha.get('/my-chats');
    const chat = chats.find(({ participants }) => participants.some(({ _id }) => _id === 'user-rohan'));
    const rohan = await demoPerson(server, 'user-rohan');
    for (let count = 1; count <= 60; count += 1) await rohan.post(`/${chat._id}/send`, { content: `line ${count}.` });
    await page.getByTestId(`read-${chat._id}`).click();
    const said = page.getByTestId('said');
    await said.filter({ hasText: 'line 60.' }).waitFor();
    await page.getByTestId('audited').waitFor();
    assert.equal(await said.count(), 50);
    await page.getByTestId('older').click();
    await said.filter({ hasText: 'Is this puppy still available' }).waitFor();
    assert.match(await said.filter({ hasText: 'line 60.' }).innerText(), /sent/, 'not delivered by being looked at');
    await page.getByTestId('nav-audit').click();
    const deed = page.getByTestId('deeds').locator('tr').first();
    await deed.filter({ hasText: 'conversation.read' }).waitFor();
    for (const shown of [chat._id, NAME, '127.0.0.1']) assert.ok((await deed.innerText()).includes(shown), shown);
    assertClean(page, server);
  });

  test('a report is read with what had been said, and resolved', async () => {
    const [asha, kabir] = await Promise.all([demoPerson(server, 'user-asha'), demoPerson(server, 'user-kabir')]);
    const { chats } = await asha.get('/my-chats');
    const chat = chats.find(({ participants }) => participants.some(({ _id }) => _id === 'user-kabir'));
    const said = await kabir.post(`/${chat._id}/send`, { content: 'pay me first, elsewhere' });
    const report = await asha.post('/report', { messageId: said._id, reason: 'fraud', text: 'He wants money ahead.' });
    assert.equal((await kabir.call('DELETE', `/message/${said._id}`)).success, true);
    const page = await adminPage('reports');
    const card = page.getByTestId(`report-${report._id}`);
    await card.filter({ hasText: 'He wants money ahead.' }).waitFor();
    assert.match(await card.innerText(), /Fraud[\s\S]*user-asha about user-kabir/);
    await card.getByTestId('show-evidence').click();
    await card.getByTestId('evidence').filter({ hasText: 'pay me first, elsewhere' }).waitFor();
    await card.getByTestId('note').fill('warned');
    await card.getByTestId('mark-resolved').click();
    await card.getByTestId('report-state').filter({ hasText: 'Resolved' }).waitFor();
    assert.equal(await card.getByTestId('note').inputValue(), 'warned');
    await page.getByTestId('reports-dismissed').click({ force: true });
    await page.getByTestId('reports-status').filter({ hasText: 'Nothing here' }).waitFor();
    await page.getByTestId('reports-resolved').click({ force: true });
    await card.waitFor();
    await page.getByTestId('nav-audit').click();
    for (const action of ['report.read', 'report.resolved']) await page.getByTestId('deeds').locator('tr').filter({ hasText: action }).filter({ hasText: report._id }).waitFor();
    assertClean(page, server);
  });

  test('a key that is changed meanwhile leads back to the question, and a failure is shown', async () => {
    const page = await adminPage('users');
    await page.route('**/api/admin/pets**', (route) => route.fulfill({ status: 503, json: { success: false, message: 'Out of order', error: 'unavailable', data: null } }));
    await page.getByTestId('nav-pets').click();
    await page.getByTestId('fault').filter({ hasText: 'Out of order' }).waitFor();
    await page.route('**/api/admin/chats**', (route) => route.fulfill({ status: 401, json: { success: false, message: 'Invalid token.', error: 'token_invalid', data: null } }));
    await page.getByTestId('nav-chats').click();
    await page.getByTestId('key').waitFor();
  });

  test('a second click on More while the first is answered brings nothing twice', async () => {
    const page = await adminPage('users');
    await page.route('**/api/admin/audit**', async (route) => {
      const before = Number(new URL(route.request().url()).searchParams.get('before') ?? 5);
      const entries = [1, 2].map((step) => ({ number: before - step, time: '2026-01-02T03:04:05.678Z', action: 'user.banned', subject: `user-${before - step}` }));
      const hasMore = before > 3;
      await route.fulfill({ json: { success: true, message: '', data: { entries, pagination: { hasMore, next: hasMore ? before - 2 : null } } } });
    });
    await page.getByTestId('nav-audit').click();
    const deeds = page.getByTestId('deeds').locator('tr');
    await page.getByTestId('more').waitFor();
    await page.getByTestId('more').evaluate((more) => [more.click(), more.click()]);
    await page.getByTestId('audit-status').filter({ hasText: '4 shown' }).waitFor();
    assert.deepEqual(await deeds.locator('td:nth-child(3)').allInnerTexts(), ['user-4', 'user-3', 'user-2', 'user-1']);
    assert.ok(await page.getByTestId('more').isHidden());
  });

  test('who was refused for a flood is shown', async () => {
    const page = await adminPage('suspects');
    await page.getByTestId('suspects-status').filter({ hasText: 'Nobody has been refused' }).waitFor();
    await page.route('**/api/admin/suspects', (route) => route.fulfill({ json: { success: true, message: '', data: { suspects: [{ userId: 'user-x', refused: 'duplicateMessages', times: 3, lastAt: '2026-01-02T03:04:05.678Z' }] } } }));
    await page.reload();
    await page.getByTestId('suspects').locator('tr').filter({ hasText: /user-x[\s\S]*the same words in many chats[\s\S]*3/ }).waitFor();
  });

  test('it speaks English to somebody whose browser speaks Hindi', async () => {
    const page = await adminPage('pets', { locale: 'hi-IN' });
    await rows(page).first().waitFor();
    assert.deepEqual(await page.locator('[data-label="Price"]').filter({ hasText: /[\u0900-\u097f]/ }).allInnerTexts(), []);
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  });

  test('with --private-media a picture is said to be out of sight', async () => {
    const closed = await Server.start('--admin-key', KEY, '--private-media');
    try {
      const asha = await demoPerson(closed, 'user-asha');
      const { chats } = await asha.get('/my-chats');
      const form = new FormData();
      form.append('media', new Blob([PIXEL], { type: 'image/png' }), 'pixel.png');
      const sent = await fetch(`${closed.url}/api/chat/${chats[0]._id}/send-media`, { method: 'POST', headers: { Authorization: `Bearer ${asha.token}` }, body: form });
      assert.equal(sent.status, 201);
      const page = await blankPage();
      await page.goto(`${closed.url}/admin#chats/${chats[0]._id}`);
      await page.getByTestId('key').fill(KEY);
      await page.getByTestId('enter').click();
      await page.getByTestId('open-media').last().click();
      await page.getByTestId('private-media').filter({ hasText: '--private-media' }).waitFor();
    } finally {
      await closed.stop();
    }
  });

  test('it fits a phone: every view in the menu, every cell with its name', async () => {
    for (const view of ['figures', 'users', 'pets', 'chats', 'suspects', 'audit']) {
      const page = await adminPage(view, { viewport: { width: 390, height: 844 } });
      await page.getByRole('heading', { level: 1 }).waitFor();
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, view);
      if (view === 'users') await rows(page).first().waitFor();
      const cut = await page.evaluate(() => [...document.querySelectorAll('nav a, .table-frame td, .table-frame button')].filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth).map((one) => one.textContent));
      assert.deepEqual(cut, [], view);
      if (view === 'users') assert.equal(await rows(page).first().locator('td').nth(1).evaluate((cell) => getComputedStyle(cell, '::before').content), '"State"');
      if (view === 'figures') await page.getByTestId('axis-messages').filter({ hasText: /ago\s*now/ }).waitFor();
    }
  });
});
