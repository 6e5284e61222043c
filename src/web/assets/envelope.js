/** One request with JSON, and the envelope that every answer of the API comes in. Knows no route, and no words for a failure. */

/**
 * @param {string} url
 * @param {{method: string, headers: object, body?: object, cache?: RequestCache}} options
 * @returns {Promise<{status: number, answer: {success?: boolean, message?: string, error?: string, data?: any}}>} status 0 without a
 * connection, an empty answer where it is no JSON
 */
export async function exchange(url, { method, headers, body, cache }) {
  let response;
  try {
    response = await fetch(url, {
      method,
      cache,
      headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
  } catch {
    return { status: 0, answer: {} };
  }
  return { status: response.status, answer: await response.json().catch(() => ({})) };
}
