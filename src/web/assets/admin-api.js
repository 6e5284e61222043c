/** The admin API with the key that was typed in, which stays in this tab alone. Knows routes, nothing of the page. */

import { exchange } from './envelope.js';

const KEY = 'jivchat-admin-key';
const NAME = 'jivchat-admin-name';

export class AdminError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function signedInAs() {
  const key = sessionStorage.getItem(KEY);
  return key && { key, name: sessionStorage.getItem(NAME) ?? '' };
}

export function signIn(key, name) {
  sessionStorage.setItem(KEY, key);
  sessionStorage.setItem(NAME, name);
}

export function signOut() {
  sessionStorage.removeItem(KEY);
}

/** @returns {Promise<any>} the data of the answer */
export async function call(method, path, body) {
  const { key, name } = signedInAs() ?? {};
  const headers = { Authorization: `Bearer ${key}`, 'X-Admin-Name': encodeURIComponent(name ?? '') };
  const { status, answer } = await exchange(`/api/admin${path}`, { method, headers, body, cache: 'no-store' });
  if (answer.success) return answer.data;
  throw new AdminError(status === 0 ? 'No connection to the server' : (answer.message ?? `The server answered ${status}`), status);
}

export const path = (...parts) => `/${parts.map(encodeURIComponent).join('/')}`;
export const query = (values) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length > 0 ? `?${new URLSearchParams(given)}` : '';
};
