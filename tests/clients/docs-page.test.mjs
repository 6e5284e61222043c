// The documentation of the API in a real Chromium: everything that is described is on it, by keyboard, on a phone and in the dark.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertClean, launch, openPage } from './support/browser.mjs';
import { Server } from './support/server.mjs';

let server;
let browser;
before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const patience = { timeout: 600_000 };

async function open(hash = '', options = {}) {
  const page = await openPage(browser, options);
  await page.goto(`${server.url}/docs${hash}`);
  await page.waitForSelector('.entry');
  return page;
}

test('every route, event and thing of the descriptions has its entry and its line in the contents', patience, async () => {
  const [openapi, asyncapi] = await Promise.all(['openapi', 'asyncapi'].map(async (name) => (await fetch(`${server.url}/api/${name}.json`)).json()));
  const routes = Object.values(openapi.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId).filter(Boolean));
  const expected = [...routes.map((id) => `op-${id}`), ...Object.keys(asyncapi.operations).map((id) => `event-${id}`), ...Object.keys(openapi.components.schemas).map((id) => `thing-${id}`)];
  assert.ok(expected.length > 60);
  const page = await open();
  const ids = await page.$$eval('.entry', (entries) => entries.map(({ id }) => id));
  assert.deepEqual([...ids].sort(), [...expected].sort());
  const links = await page.$$eval('.contents li a', (all) => all.map((link) => link.getAttribute('href')));
  assert.deepEqual([...links].sort(), expected.map((id) => `#${id}`).sort());
  // Unfolded, so that a link inside leads somewhere too.
  const lost = await page.$$eval('a[href^="#"]', (all) => all.map((link) => link.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id)));
  assert.deepEqual(lost, []);
  const text = await page.$eval('#op-sendMessage', (entry) => entry.textContent);
  for (const said of ['clientMessageId', 'content_too_long', 'Idempotency-Key', 'curl -X POST', '201', 'NewMessage']) assert.ok(text.includes(said), said);
  assertClean(page, server);
});

test('by keyboard: the skip link, the filter, unfolding', patience, async () => {
  const page = await open();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'To the content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'content');

  await page.keyboard.press('/');
  await page.keyboard.type('toggle block');
  const shown = () => page.$$eval('.entry', (entries) => entries.filter((entry) => entry.checkVisibility()).map(({ id }) => id));
  assert.deepEqual(await shown(), ['op-toggleBlock']);
  await page.keyboard.press('Control+A');
  await page.keyboard.type('no such words');
  assert.deepEqual(await shown(), []);
  assert.ok(await page.isVisible('.nothing'));
  await page.keyboard.press('Escape');
  assert.ok((await shown()).length > 60);

  await page.focus('#event-typing summary');
  await page.keyboard.press('Enter');
  assert.ok(await page.isVisible('#event-typing pre'));
  assertClean(page, server);
});

test('an address leads to its entry, unfolded', patience, async () => {
  const page = await open('#event-sendMessage');
  assert.ok(await page.$eval('#event-sendMessage', (entry) => entry.open));
  await page.click('#event-sendMessage a[href="#thing-NewMessage"]');
  await page.waitForSelector('#thing-NewMessage[open]');
  assert.equal(await page.$eval('.contents [aria-current]', (link) => link.textContent), 'NewMessage');
  assertClean(page, server);
});

test('no markup is left as it is written, and what a filter finds is in sight', patience, async () => {
  const page = await open();
  const raw = await page.$$eval('.contents li a, .entry > summary', (all) => all.map((one) => one.textContent).filter((text) => text.includes('`')));
  assert.deepEqual(raw, []);
  await page.evaluate(() => scrollTo(0, 4000));
  await page.keyboard.press('/');
  await page.keyboard.type('toggle block');
  const top = await page.$eval('#op-toggleBlock', (entry) => entry.getBoundingClientRect().top);
  assert.ok(top >= 0 && top < 800, `at ${top}`);
});

test('on a phone the button to copy covers no code', patience, async () => {
  const page = await open('#op-sendMessage', { viewport: { width: 390, height: 800 } });
  const covered = await page.$$eval('#op-sendMessage .sample', (all) => all.filter((one) => one.checkVisibility()).map((one) => one.querySelector('.button').getBoundingClientRect().bottom - one.querySelector('pre').getBoundingClientRect().top));
  assert.ok(covered.length > 0 && covered.every((overlap) => overlap <= 0), `${covered}`);
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [390, 1280]) {
    test(`it fits ${width} pixels and is readable in the ${colorScheme}`, patience, async () => {
      const page = await open('', { viewport: { width, height: 800 }, colorScheme });
      const wide = await page.evaluate(() => {
        for (const entry of document.querySelectorAll('details')) entry.open = true;
        return document.documentElement.scrollWidth - innerWidth;
      });
      assert.ok(wide <= 0, `${wide} px too wide`);
      const poor = await page.evaluate(contrasts);
      assert.deepEqual(poor, []);
      assertClean(page, server);
    });
  }
}

/** In the page: kinds of text whose contrast with what is behind them is below 4.5. */
function contrasts() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (channels(colour)[3] > 0) return colour;
    }
    return 'white';
  };
  const found = new Set();
  for (const element of document.querySelectorAll('.docs *')) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!hasText || !element.checkVisibility()) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) found.add(`${element.localName}.${element.className}: ${contrast.toFixed(2)}`);
  }
  return [...found];
}
