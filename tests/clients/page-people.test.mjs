// The chat page in a real Chromium: reporting a message or a person to the marketplace, and blocking a person everywhere.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { assertClean, launch, openPage } from './support/browser.mjs';
import { act, chatWith, message, openChat, write } from './support/messenger.mjs';
import { demoPerson } from './support/rest.mjs';
import { Server } from './support/server.mjs';

const KEY = 'the admin key of the tests of the page';

let server;
let browser;
let pages = [];
before(async () => {
  server = await Server.start('--web-ui', 'on', '--admin-key', KEY);
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

async function pageOf(user, options) {
  const page = await openPage(browser, options);
  pages.push(page);
  await page.goto(`${server.url}/?user=user-${user}`);
  await chatWith(page, user === 'asha' ? 'rohan' : 'asha').waitFor();
  await page.getByTestId('banner').and(page.locator('[data-state="online"]')).waitFor({ state: 'attached' });
  return page;
}

async function reports() {
  const response = await fetch(`${server.url}/api/admin/reports`, { headers: { Authorization: `Bearer ${KEY}` } });
  return (await response.json()).data.reports;
}

async function choose(page, what) {
  await page.getByTestId('menu').click();
  await page.getByTestId(what).click();
}

const isFocused = (locator) => locator.and(locator.page().locator(':focus')).waitFor();

describe('the other person', { timeout: 600_000 }, () => {
  test('a message is reported with a reason and words; thinking better of it reports nothing', async () => {
    const [asha, rohan] = await Promise.all([pageOf('asha'), pageOf('rohan')]);
    await Promise.all([openChat(asha, 'rohan'), openChat(rohan, 'asha')]);
    await write(rohan, 'pay me first');
    await message(asha, 'pay me first').waitFor();
    await act(asha, 'pay me first', 'report');
    await asha.getByRole('button', { name: 'Cancel' }).click();
    await asha.getByTestId('report-dialog').waitFor({ state: 'detached' });

    await act(asha, 'pay me first', 'report');
    // Without a reason the dialog stays.
    await asha.getByTestId('report-send').click();
    await asha.getByTestId('reason-fraud').check();
    await asha.getByTestId('report-text').fill('wants the money before I have seen the dog');
    await asha.getByTestId('report-send').click();
    await asha.getByTestId('notice').filter({ hasText: 'has your report' }).waitFor();
    const [report, ...others] = await reports();
    assert.deepEqual(others, []);
    assert.equal(report.reason, 'fraud');
    assert.equal(report.text, 'wants the money before I have seen the dog');
    assert.equal(report.messageId, await message(asha, 'pay me first').getAttribute('data-id'));
    assert.equal(await message(rohan, 'pay me first').getByTestId('report').count(), 0, 'nobody reports their own');
    for (const page of [asha, rohan]) assertClean(page, server);
  });

  test('a person is reported and blocked at once, in every tab, and unblocked from the list', async () => {
    const [here, there] = await Promise.all([pageOf('asha'), pageOf('asha')]);
    await Promise.all([openChat(here, 'kabir'), openChat(there, 'kabir')]);
    await choose(here, 'report-person');
    await here.getByTestId('reason-abuse').check();
    await here.getByTestId('report-block').check();
    await here.getByTestId('report-send').click();
    for (const page of [here, there]) {
      await page.getByTestId('blocked').filter({ hasText: 'You have blocked Kabir' }).waitFor();
      await page.getByTestId('composer').waitFor({ state: 'hidden' });
    }
    const last = (await reports()).at(-1);
    assert.deepEqual([last.reason, last.messageId, last.reportedUser._id ?? last.reportedUser], ['abuse', null, 'user-kabir']);

    await there.getByTestId('settings').click();
    await there.getByTestId('blocked-people').click();
    await there.getByTestId('unblock-user-kabir').click();
    await there.getByTestId('blocked-dialog').filter({ hasText: 'Nobody is blocked' }).waitFor();
    await here.getByTestId('composer').waitFor();
    await write(here, 'let us try again');
    for (const page of [here, there]) assertClean(page, server);
  });

  test('who is blocked is refused and not told why, also when they were blocked before the page was opened', async () => {
    const rohan = await demoPerson(server, 'user-rohan');
    await rohan.put('/block-user/user-asha');
    const [asha, page] = await Promise.all([pageOf('asha'), pageOf('rohan')]);
    await Promise.all([openChat(asha, 'rohan'), openChat(page, 'asha')]);
    await page.getByTestId('blocked').filter({ hasText: 'You have blocked Asha' }).waitFor();
    await asha.getByTestId('composer').fill('are you there?');
    await asha.getByTestId('send').click();
    await message(asha, 'are you there?').getByTestId('retry').waitFor();
    await page.getByTestId('unblock').click();
    await message(asha, 'are you there?').getByTestId('retry').click();
    await message(page, 'are you there?').waitFor();
  });

  test('the menu is used without a mouse', async () => {
    const page = await pageOf('asha');
    await openChat(page, 'farida');
    await page.getByTestId('menu').focus();
    await page.keyboard.press('Enter');
    await isFocused(page.getByTestId('report-person'));
    await page.keyboard.press('ArrowUp');
    await isFocused(page.getByTestId('block-person'));
    await page.keyboard.press('Escape');
    await isFocused(page.getByTestId('menu'));
    await page.getByTestId('report-person').waitFor({ state: 'hidden' });
    await page.keyboard.press('Enter');
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Block Farida?' }).waitFor();
    await page.keyboard.press('Escape');
    await isFocused(page.getByTestId('menu'));
    assertClean(page, server);
  });
});
