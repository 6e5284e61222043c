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

/** What a token says of its user; `undefined` for what is no token. */
export function personOf(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    const id = claims.id ?? claims._id ?? claims.userId ?? claims.sub;
    return id && { _id: id, name: claims.name ?? id, profilePicture: claims.profilePicture ?? claims.profileImage ?? claims.picture, token };
  } catch {
    return undefined;
  }
}
