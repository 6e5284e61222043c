/** The overview: what happens now, as plots that move, and what is stored. */

import { call, path } from './admin-api.js';
import { fill, h } from './dom.js';
import { barPlot, bytes, linePlot, short } from './plot.js';

/** Between two looks; what has to be counted first is asked for less often. */
const LIVE_MS = 2_000;
const STORED_MS = 30_000;
/** Looks that a line shows: ten minutes. */
const SAMPLES = 300;

export function figuresView({ onfail }) {
  const websocket = [];
  const polling = [];
  const latency = { p50: [], p95: [], p99: [] };
  const names = new Map();
  const ended = new AbortController();

  const tiles = h('dl', { class: 'tiles' });
  const plots = h('div', { class: 'plots' });
  const connections = plot('Live connections', 'connections');
  const minutes = plot('Messages per minute', 'messages');
  const delays = plot('Delivery latency, ms', 'latency');
  plots.append(connections.element, minutes.element, delays.element);
  const errors = table('Errors by code, since the start', 'errors', ['Code', 'Times']);
  const top = table('Busiest chats of the last 30 to 60 minutes', 'top-chats', ['Chat', 'Messages']);
  const ends = table('Why sessions ended, since the start', 'closed', ['Reason', 'Sessions']);
  const stored = h('dl', { class: 'tiles', data: { testid: 'stored' } });
  const updated = h('p', { class: 'admin-hint', data: { testid: 'updated' } });
  const element = h('div', { class: 'figures' }, tiles, plots,
    h('div', { class: 'columns' }, errors.element, top.element, ends.element),
    h('section', {}, h('h2', {}, 'Storage'), stored), updated);

  function look({ activity, connections: live, counts, onlineUsers, uptimeSeconds, version }) {
    keep(websocket, live.websocket);
    keep(polling, live.polling);
    const delay = activity.deliveryLatencyMs;
    for (const name of ['p50', 'p95', 'p99']) keep(latency[name], delay[name]);
    const slow = counts.closedSessions?.slow_consumer ?? 0;
    show(tiles, [
      ['Connections', live.websocket + live.polling, 'tile-connections'],
      ['Users online', onlineUsers, 'tile-online'],
      ['Messages this minute', activity.messagesPerMinute.at(-1), 'tile-messages'],
      ['Slow consumers ended', slow, 'tile-slow'],
      ['Up for', duration(uptimeSeconds), 'tile-uptime'],
      ['Version', version, 'tile-version'],
    ]);
    connections.draw(linePlot({ label: 'Live connections', series: [{ name: 'websocket', values: websocket }, { name: 'polling', values: polling }] }), ['websocket', 'polling'], looked(websocket));
    minutes.draw(barPlot({ label: 'Messages per minute, the last hour', values: activity.messagesPerMinute }), [], activity.messagesPerMinute.length * 60);
    delays.draw(linePlot({ label: 'Delivery latency', unit: ' ms', series: Object.entries(latency).map(([name, values]) => ({ name, values })) }), ['p50', 'p95', 'p99'].map((name) => `${name} ${short(delay[name])}`), looked(latency.p50));
    errors.fill(sorted(activity.errors).map(([code, times]) => [code, times]), 'Nobody was refused anything.');
    ends.fill(sorted(counts.closedSessions ?? {}).filter(([, times]) => times > 0), 'No session has ended yet.');
    top.fill(activity.topChats.map(({ chatId, messages }) => [h('a', { href: `#chats/${chatId}` }, names.get(chatId) ?? chatId), messages]), 'No messages yet.', activity.topChats.map(({ chatId }) => names.get(chatId)).join());
    nameChats(activity.topChats);
  }

  /** Each chat is asked for once. */
  function nameChats(chats) {
    for (const { chatId } of chats.filter(({ chatId: id }) => !names.has(id))) {
      names.set(chatId, chatId);
      call('GET', path('chats', chatId)).then(({ participants }) => names.set(chatId, participants.map(({ name }) => name).join(' and '))).catch(() => {});
    }
  }

  function count(data) {
    show(stored, [
      ['Users', short(data.users)], ['Pets', short(data.pets)], ['Chats', short(data.chats)], ['Messages', short(data.messages)],
      ['Pictures and videos', short(data.mediaFiles)], ['Their size', bytes(data.mediaBytes)],
      ['Journal', bytes(data.journalBytes), 'stored-journal'], ['Index', bytes(data.indexBytes)],
      ['State', data.storage === 'ok' ? 'taking writes' : data.storage],
    ]);
    look(data);
  }

  async function follow() {
    let counted = -Infinity;
    while (!ended.signal.aborted) {
      const isDue = performance.now() - counted > STORED_MS;
      try {
        const data = await call('GET', isDue ? '/stats' : '/stats?live=true');
        if (ended.signal.aborted) return;
        if (isDue) count(data);
        else look(data);
        if (isDue) counted = performance.now();
        updated.textContent = `Updated ${new Date().toLocaleTimeString('en-IN')}`;
      } catch (error) {
        if (ended.signal.aborted) return;
        updated.textContent = `${error.message}; trying again`;
        if (error.status === 401) onfail(error);
      }
      await pause(ended.signal);
    }
  }

  follow();
  return { element, leave: () => ended.abort() };
}

/** Until the next look; a page that nobody sees does not look. */
function pause(signal) {
  return new Promise((resolve) => {
    const done = new AbortController();
    const go = () => {
      clearTimeout(timer);
      // With it go all listeners: there is a pause every two seconds.
      done.abort();
      resolve();
    };
    const look = () => document.visibilityState === 'visible' && go();
    const timer = setTimeout(() => {
      document.addEventListener('visibilitychange', look, { signal: done.signal });
      look();
    }, LIVE_MS);
    signal.addEventListener('abort', go, { signal: done.signal });
  });
}

/** Seconds between the first look and the last. */
function looked(values) {
  return Math.max(1, values.length - 1) * (LIVE_MS / 1000);
}

function keep(values, value) {
  values.push(value);
  if (values.length > SAMPLES) values.shift();
}

function plot(title, testid) {
  const frame = h('div', { class: 'plot-frame' });
  const scale = h('span', { class: 'plot-top' });
  const legend = h('ul', { class: 'plot-legend' });
  const since = h('span');
  const axis = h('div', { class: 'plot-axis', data: { testid: `axis-${testid}` } }, since, h('span', {}, 'now'));
  const element = h('section', { class: 'card', data: { testid: `plot-${testid}` } }, h('h2', {}, title), frame, axis, h('div', { class: 'plot-foot' }, scale, legend));
  return {
    element,
    draw({ drawing, top }, names, seconds) {
      frame.replaceChildren(drawing);
      since.textContent = `${duration(seconds)} ago`;
      scale.textContent = `0 – ${top}`;
      fill(legend, names.join(), () => names.map((name, number) => h('li', { class: `plot-name plot-name-${number}` }, name)));
    },
  };
}

function table(title, testid, columns) {
  const body = h('tbody');
  const empty = h('p', { class: 'admin-hint' });
  const grid = h('table', {}, h('thead', {}, h('tr', {}, ...columns.map((name) => h('th', { scope: 'col' }, name)))), body);
  const element = h('section', { class: 'card', data: { testid } }, h('h2', {}, title), grid, empty);
  return {
    element,
    fill(rows, words, more = '') {
      grid.hidden = rows.length === 0;
      empty.textContent = rows.length === 0 ? words : '';
      const description = rows.map((row) => row.map((cell) => cell.textContent ?? cell).join(' ')).join('|') + more;
      fill(body, description, () => rows.map((row) => h('tr', {}, ...row.map((cell) => h('td', {}, cell instanceof Node ? cell : String(cell))))));
    },
  };
}

function show(list, rows) {
  fill(list, JSON.stringify(rows), () => rows.map(([name, value, testid]) => h('div', { class: 'tile' }, h('dt', {}, name), h('dd', { ...(testid && { data: { testid } }) }, String(value)))));
}

function sorted(counts) {
  return Object.entries(counts).sort(([, a], [, b]) => b - a);
}

function duration(seconds) {
  const parts = [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0\u00a0s';
  const counts = parts.slice(first, first + 2).map(([size, unit], index) => [Math.floor((index === 0 ? seconds : seconds % parts[first][0]) / size), unit]);
  return counts.filter(([count]) => count > 0).map(([count, unit]) => `${count}\u00a0${unit}`).join(' ');
}
