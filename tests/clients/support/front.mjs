// What stands between clients and the server where TLS is spoken: nginx or Caddy as `examples/proxy` sets them up, or the server
// itself. Only names, ports, certificates and times are put in; whatever else is in those files is what is tested.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';

export const NAME = 'chat.example.com';
const EXAMPLES = new URL('../../../examples/proxy/', import.meta.url);
const READY_MS = 20_000;
const ATTEMPTS = 5;

const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Whether a command is there. */
export function has(command, ...args) {
  return !spawnSync(command, args, { stdio: 'ignore', env: path() }).error;
}

/** Debian keeps nginx where only root looks. */
function path() {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };
}

/** A directory with a certificate for `NAME` and for 127.0.0.1, and its key. */
export async function certify() {
  const directory = await mkdtemp(join(tmpdir(), 'jivchat-front-'));
  const files = { directory, cert: join(directory, 'chain.pem'), key: join(directory, 'key.pem') };
  const names = `subjectAltName=DNS:${NAME},IP:127.0.0.1`;
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const form = ['-x509', '-subj', `/CN=${NAME}`, '-addext', names, '-days', '2', '-keyout', files.key, '-out', files.cert];
  await promisify(execFile)('openssl', ['req', ...curve, ...form]);
  return { ...files, ca: await readFile(files.cert) };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The file with each of these replaced wherever it stands, which it must. */
async function filled(name, replacements) {
  let text = await readFile(new URL(name, EXAMPLES), 'utf8');
  for (const [from, to] of Object.entries(replacements)) {
    assert.ok(text.includes(from), `${name} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Times of the example become so much shorter as the server's pings are more often than by default. */
function shortened(text, factor) {
  return text.replace(/(proxy_read_timeout )(\d+)s/, (_, word, seconds) => `${word}${Math.ceil((seconds * 1000) / factor)}ms`);
}

async function nginx({ port, upstream, site, files, factor }) {
  const snippet = await filled('nginx.conf', {
    'listen 443 ssl;': `listen 127.0.0.1:${port} ssl;`,
    'listen [::]:443 ssl;': '',
    '127.0.0.1:3010': upstream,
    '127.0.0.1:3000': site,
    '/etc/letsencrypt/live/chat.example.com/fullchain.pem': files.cert,
    '/etc/letsencrypt/live/chat.example.com/privkey.pem': files.key,
  });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${files.directory}/${kind};`);
  const user = process.getuid() === 0 ? 'user root;' : '';
  const whole = `${user} daemon off; pid ${files.directory}/pid; events {}
    http { access_log off; ${temporary.join(' ')}\n${shortened(snippet, factor)} }`;
  const config = join(files.directory, 'nginx.conf');
  await writeFile(config, whole);
  return ['nginx', '-p', files.directory, '-e', 'stderr', '-c', config];
}

async function caddy({ port, upstream, site, files }) {
  const snippet = await filled('Caddyfile', {
    [`\n${NAME} {`]: `\nhttps://${NAME}:${port} {\ntls ${files.cert} ${files.key}`,
    '127.0.0.1:3010': upstream,
    '127.0.0.1:3000': site,
  });
  const whole = `{\nadmin off\nauto_https disable_redirects\ndefault_bind 127.0.0.1\nstorage file_system ${files.directory}/caddy\n}\n${snippet}`;
  const config = join(files.directory, 'Caddyfile');
  await writeFile(config, whole);
  return ['caddy', 'run', '--adapter', 'caddyfile', '--config', config];
}

const PROXIES = { nginx, caddy };

/** Something that speaks https at `port`. */
export class Front {
  #child;

  /** `another()` is an agent with no connection yet. */
  constructor(port, ca) {
    this.port = port;
    this.url = `https://${NAME}:${port}`;
    // The name leads here, whatever it means elsewhere.
    const lookup = (_name, { all }, found) => (all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4));
    this.another = () => new https.Agent({ ca, lookup });
    this.agent = this.another();
  }

  /** Starts a proxy in front of `upstream`, with `site` as the site beside it. */
  static async start(kind, settings) {
    for (let attempt = 1; ; attempt += 1) {
      // Between its choice and its use somebody else may take the port.
      const port = await freePort();
      const front = new Front(port, settings.files.ca);
      try {
        await front.#spawn(await PROXIES[kind]({ port, ...settings }), settings.files);
        return front;
      } catch (error) {
        await front.stop();
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #spawn([command, ...args], files) {
    const home = join(files.directory, 'home');
    await mkdir(home, { recursive: true });
    const env = { ...path(), HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home };
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-4000)));
    const until = Date.now() + READY_MS;
    while (!(await this.#answers(files.ca))) {
      const isOver = child.exitCode !== null || Date.now() > until;
      if (isOver) throw new Error(`${command} does not answer\n${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #answers(ca) {
    return new Promise((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', port: this.port, servername: NAME, ca }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }

  /** One request; gives status, headers and body. */
  request(method, target, { headers, body, ...options } = {}) {
    return new Promise((resolve, reject) => {
      const asked = https.request(`${this.url}${target}`, { method, headers, agent: this.agent, ...options }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
        response.on('error', reject);
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  async stop() {
    this.agent.destroy();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), READY_MS);
    await ended;
    clearTimeout(late);
  }
}

export async function forget({ directory }) {
  await rm(directory, { recursive: true, force: true });
}
