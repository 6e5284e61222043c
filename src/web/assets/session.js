/** Who is here when there is no demo: a token from the host application, kept in this tab alone. It is read, not checked. */

const KEY = 'jivchat-token';

/** The person of the token in the address (`#token=…`, which is taken out of it at once) or of the one that is kept. */
export function rememberedPerson() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    history.replaceState(null, '', location.pathname + location.search);
    keepToken(given);
  }
  return personOf(sessionStorage.getItem(KEY));
}

export function keepToken(token) {
  sessionStorage.setItem(KEY, token.trim().replace(/^Bearer /i, ''));
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
}

/** What a token says of its user; `undefined` for what is no token. Anybody can write one: what is no text in it is nothing. */
export function personOf(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    const [id, name, profilePicture] = [
      [claims.id, claims._id, claims.userId, claims.sub],
      [claims.name],
      [claims.profilePicture, claims.profileImage, claims.picture],
    ].map((values) => values.find((value) => typeof value === 'string' && value.trim() !== ''));
    return id && { _id: id, name: name ?? id, profilePicture, token };
  } catch {
    return undefined;
  }
}
