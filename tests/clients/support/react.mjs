// The real React without a page: components of a file are rendered, and waited for until they show what they should.

import { transform } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import React from 'react';
import { act, create } from 'react-test-renderer';

const require = createRequire(import.meta.url);
const PATIENCE_MS = 30_000;

/** The text of a documented file, with what an app has to put in. */
export async function documented(file, replacements = {}) {
  let text = await readFile(new URL(`../documented/${file}`, import.meta.url), 'utf8');
  for (const [placeholder, value] of Object.entries(replacements)) {
    if (!text.includes(placeholder)) throw new Error(`${file} has no ${placeholder} to replace`);
    text = text.replaceAll(placeholder, value);
  }
  return text;
}

/** Runs a script as it stands among `globals`, and gives the value of the last expression or of the name asked for. */
export async function evaluate(text, globals, name) {
  const { code } = await transform(text, { loader: 'jsx', format: name ? 'esm' : 'cjs' });
  const module = { exports: {} };
  const scope = { React, require, module, exports: module.exports, ...globals };
  const run = new Function(...Object.keys(scope), `${code}\nreturn ${name ?? 'module.exports'};`);
  return run(...Object.values(scope));
}

/** Renders an element; `until` waits for a render that pleases. */
export function render(element) {
  const waiting = new Set();
  const check = () => waiting.forEach((one) => one());
  // Told of every render that has reached the tree.
  const onRender = () => queueMicrotask(check);
  let renderer;
  const wrap = (inner) => React.createElement(React.Profiler, { id: 'test', onRender }, inner);
  withEffects(() => (renderer = create(wrap(element))));
  return {
    root: renderer.root,
    unmount: () => withEffects(() => renderer.unmount()),
    text: () => textOf(renderer.toJSON()),
    until: (pleases) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => stop(reject, new Error(`never rendered: ${textOf(renderer.toJSON())}`)), PATIENCE_MS);
      const stop = (end, value) => {
        clearTimeout(timer);
        waiting.delete(one);
        end(value);
      };
      const one = () => pleases(renderer.root) && stop(resolve);
      waiting.add(one);
      one();
    }),
  };
}

/** Does it and runs the effects that follow; what happens by itself later is left to React's own time. */
function withEffects(change) {
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  act(change);
  globalThis.IS_REACT_ACT_ENVIRONMENT = false;
}

/** All text of a rendered tree, piece by piece. */
export function textOf(node) {
  if (node === null || node === undefined) return '';
  if (typeof node === 'string') return node;
  return [node].flat().map((one) => (typeof one === 'string' ? one : textOf(one.children))).filter(Boolean).join(' ');
}

export { React };
