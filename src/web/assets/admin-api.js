/** The admin API with the key that was typed in, which stays in this tab alone. Knows routes, nothing of the page. */

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
  let response;
  try {
    response = await fetch(`/api/admin${path}`, {
      method,
      cache: 'no-store',
      headers: { Authorization: `Bearer ${key}`, 'X-Admin-Name': encodeURIComponent(name ?? ''), ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new AdminError('No connection to the server', 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (!answer.success) throw new AdminError(answer.message ?? `The server answered ${response.status}`, response.status);
  return answer.data;
}

export const path = (...parts) => `/${parts.map(encodeURIComponent).join('/')}`;
export const query = (values) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length > 0 ? `?${new URLSearchParams(given)}` : '';
};
