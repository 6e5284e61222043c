// Starts the built server on a free port with a data directory of its own, and mints tokens for it.

import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const SECRET = 'the client tests sign their tokens with this';
const READY_MS = 60_000;

/** A test run that breaks off takes its servers with it. */
const running = new Set();
process.once('exit', () => running.forEach((server) => server.kill('SIGKILL')));

function binary() {
  const path = process.env.JIVCHAT_BIN;
  if (!path) throw new Error('JIVCHAT_BIN must name the built server; tests/run sets it');
  return path;
}

/** Runs a command of the binary and gives what it printed. */
export async function run(...args) {
  const { stdout } = await promisify(execFile)(binary(), args);
  return stdout.trim();
}

/** A token as a host application makes one: HS256, claims `id` and `name`, valid for `seconds`. */
export function mint(id, { name = id, seconds = 3600, secret = SECRET, ...claims } = {}) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ id, name, exp, ...claims })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** A running server; `stop()` ends it and removes its data. */
export class Server {
  #process;
  #directory;
  #args;
  /** The last lines it wrote, for the message of a failure. */
  #log = [];
  #watchers = new Set();

  /** @param {string[]} args flags beside port, data directory, demo data and the tests' secret */
  static async start(...args) {
    const server = new Server();
    server.#directory = await mkdtemp(join(tmpdir(), 'jivchat-clients-'));
    server.#args = ['--data-dir', server.#directory, '--demo', '--jwt-secret', SECRET, '--no-rate-limit', ...args];
    await server.#spawn(0);
    return server;
  }

  /** The same without the demo's people and pets. */
  static async startPlain(...args) {
    const server = new Server();
    server.#directory = await mkdtemp(join(tmpdir(), 'jivchat-clients-'));
    server.#args = ['--data-dir', server.#directory, '--jwt-secret', SECRET, '--no-rate-limit', ...args];
    await server.#spawn(0);
    return server;
  }

  async #spawn(port) {
    this.#process = spawn(binary(), ['serve', '--port', String(port), ...this.#args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.exited = once(this.#process, 'exit');
    const child = this.#process;
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.url = await this.#listening();
    this.port = Number(new URL(this.url).port);
  }

  #listening() {
    return new Promise((resolve, reject) => {
      const fail = (what) => reject(new Error(`the server ${what}\n${this.#log.join('\n')}`));
      const timer = setTimeout(() => fail('did not listen in time'), READY_MS);
      createInterface({ input: this.#process.stderr }).on('line', (line) => {
        this.#log = [...this.#log.slice(-40), line];
        this.#watchers.forEach((watch) => watch(line));
        const url = /listening on (https?:\/\/\S+)/.exec(line)?.[1];
        if (!url) return;
        clearTimeout(timer);
        resolve(url);
      });
      this.exited.then(([code]) => fail(`ended with ${code}`), reject);
    });
  }

  /** The first line from now on that fits. Rejects when none comes. */
  logged(pattern) {
    return new Promise((resolve, reject) => {
      const watch = (line) => {
        if (!pattern.test(line)) return;
        stop();
        resolve(line);
      };
      const stop = () => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`the server did not log ${pattern}\n${this.#log.join('\n')}`));
      }, READY_MS);
      this.#watchers.add(watch);
    });
  }

  /** Ends the process; `SIGKILL` leaves it no time to say goodbye. */
  async kill(signal = 'SIGTERM') {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill(signal);
    // A suspended process would not hear of it.
    this.#process.kill('SIGCONT');
    await this.exited;
  }

  /** From here to `wake` the process does nothing, while its connections stay open. */
  suspend() {
    this.#process.kill('SIGSTOP');
  }

  wake() {
    this.#process.kill('SIGCONT');
  }

  /** The same server, with the same data, on the same port again. */
  async startAgain() {
    await this.#spawn(this.port);
  }

  async stop() {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
