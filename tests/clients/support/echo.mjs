// Starts the Socket.IO echo example, which is built on the protocol layer alone, on a free port.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A running example; `stop()` ends it. */
export class Echo {
  #process;

  static async start() {
    const path = process.env.JIVCHAT_ECHO;
    if (!path) throw new Error('JIVCHAT_ECHO must name the built example socketio_echo; tests/run sets it');
    const echo = new Echo();
    echo.#process = spawn(path, ['--port', '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
    process.once('exit', () => echo.#process.kill('SIGKILL'));
    for await (const line of createInterface({ input: echo.#process.stderr })) {
      echo.url = /listening on (http:\/\/\S+)/.exec(line)?.[1];
      if (echo.url) return echo;
    }
    throw new Error('the echo example did not listen');
  }

  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill();
    await once(this.#process, 'exit');
  }
}
