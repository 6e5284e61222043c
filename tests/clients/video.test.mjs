// A film in a real Chromium: it plays from the server, and seeking fetches only the part that is wanted.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage } from './support/browser.mjs';
import { mediaForm, pair } from './support/rest.mjs';
import { Server } from './support/server.mjs';

let server;
let browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const SECONDS = 40;
const SECRET = '+28.6139+077.2090/';

/** Runs in the page: one key frame of noise a second, as VP8. Gives each in base64. */
async function encodeNoise(seconds) {
  const [width, height] = [640, 480];
  const frames = [];
  const encoder = new VideoEncoder({
    output(chunk) {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      frames.push(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')));
    },
    error(error) {
      throw error;
    },
  });
  encoder.configure({ codec: 'vp8', width, height, bitrate: 20_000_000, framerate: 1 });
  for (let second = 0; second < seconds; second += 1) {
    const pixels = new Uint8Array(width * height * 4);
    for (let at = 0; at < pixels.length; at += 65_536) crypto.getRandomValues(pixels.subarray(at, at + 65_536));
    const frame = new VideoFrame(pixels, { format: 'RGBX', codedWidth: width, codedHeight: height, timestamp: second * 1e6 });
    encoder.encode(frame, { keyFrame: true });
    frame.close();
  }
  await encoder.flush();
  return frames;
}

/** A Matroska element (RFC 8794): name, a length of eight bytes, contents. */
function element(id, ...parts) {
  const data = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(data.length) | (1n << 56n));
  return Buffer.concat([Buffer.from(id, 'hex'), size, data]);
}

function number(id, value) {
  const data = Buffer.alloc(8);
  data.writeBigUInt64BE(BigInt(value));
  return element(id, data);
}

/** A WebM of one cluster a frame, a frame a second, with an index at its beginning, and tags that tell where it was made. */
function webm(frames) {
  const duration = Buffer.alloc(8);
  duration.writeDoubleBE(frames.length * 1000);
  const header = element('1a45dfa3', element('4282', 'webm'), number('4287', 2), number('4285', 2));
  const info = element('1549a966', number('2ad7b1', 1_000_000), element('4489', duration), element('4d80', 'test'), element('5741', 'test'));
  const video = element('e0', number('b0', 640), number('ba', 480));
  const tracks = element('1654ae6b', element('ae', number('d7', 1), number('73c5', 1), number('83', 1), element('86', 'V_VP8'), video));
  const clusters = frames.map((frame, second) => element('1f43b675', number('e7', second * 1000), element('a3', Buffer.from([0x81, 0, 0, 0x80]), frame)));
  const tags = element('1254c367', element('7373', element('67c8', element('45a3', 'LOCATION'), element('4487', SECRET))));
  const cues = (start) => {
    let at = start;
    const points = clusters.map((cluster, second) => {
      const point = element('bb', number('b3', second * 1000), element('b7', number('f7', 1), number('f1', at)));
      at += cluster.length;
      return point;
    });
    return element('1c53bb6b', ...points);
  };
  const before = info.length + tracks.length + tags.length;
  const index = cues(before + cues(0).length);
  return Buffer.concat([header, element('18538067', info, tracks, tags, index, ...clusters)]);
}

test('a film plays, and seeking to its end does not fetch what lies between', { timeout: 120_000 }, async () => {
  const { one, chat } = await pair(server, 'film');
  const page = await openPage(browser);
  await page.goto(server.url);
  const frames = (await page.evaluate(encodeNoise, SECONDS)).map((frame) => Buffer.from(frame, 'base64'));
  const film = webm(frames);
  assert.ok(film.length > 10_000_000, `only ${film.length} bytes`);
  const form = mediaForm(film, { name: 'film.webm', type: 'video/webm' });
  const { media } = await one.post(`/${chat._id}/send-media`, form);
  assert.deepEqual([media.mimeType, media.width, media.height, media.size], ['video/webm', 640, 480, film.length]);
  const stored = Buffer.from(await (await fetch(`${server.url}${media.url}`)).arrayBuffer());
  assert.ok(film.includes(SECRET) && !stored.includes(SECRET), 'the place is gone');

  const ranges = [];
  page.on('response', (response) => response.url().endsWith(media.url) && ranges.push([response.status(), response.headers()['content-range']]));
  const seen = await page.evaluate(async ({ url, to }) => {
    const video = Object.assign(document.createElement('video'), { src: url, muted: true, preload: 'metadata' });
    document.body.append(video);
    const event = (name) => new Promise((resolve, reject) => {
      video.addEventListener(name, resolve, { once: true });
      video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
    });
    await event('loadeddata');
    const seeked = event('seeked');
    video.currentTime = to;
    await seeked;
    const sought = video.currentTime;
    const ended = event('ended');
    await video.play();
    await ended;
    return { duration: video.duration, width: video.videoWidth, sought, at: video.currentTime };
  }, { url: media.url, to: SECONDS - 2 });
  assert.deepEqual(seen, { duration: SECONDS, width: 640, sought: SECONDS - 2, at: SECONDS });
  const starts = ranges.map(([status, range]) => status === 206 && Number(/^bytes (\d+)-/.exec(range)[1]));
  assert.ok(starts.some((start) => start > film.length / 2), `no range near the end: ${JSON.stringify(ranges)}`);
  assert.deepEqual(page.faults, []);
});
