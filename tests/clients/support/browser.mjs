// A real Chromium, and pages that remember whatever went wrong in them.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

// No sandbox, because tests may run as root; the rest keeps Chromium from asking for hosts of its own.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PATIENCE_MS = 30_000;

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
}

/** A page in a context of its own, so that no two people share anything. `faults` lists what must not happen. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-IN', ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const faults = [];
  const hosts = new Set();
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && faults.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`error: ${error.stack}`));
  page.on('request', (request) => request.url().startsWith('http') && hosts.add(new URL(request.url()).host));
  page.on('websocket', (socket) => hosts.add(new URL(socket.url()).host));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => console.error(`policy violated: ${violatedDirective} ${blockedURI}`));
  });
  return Object.assign(page, { faults, hosts });
}

/** No errors, no violation of the content policy, and no request to anybody but the server. */
export function assertClean(page, server) {
  assert.deepEqual(page.faults, []);
  assert.deepEqual([...page.hosts], [new URL(server.url).host]);
}
