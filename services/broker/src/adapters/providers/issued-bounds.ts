import type { IssuedToken } from '../../app/ports/provider.js';

/** Longer ones fit into no HTTP header, and not into the messages that carry them. */
const MAX_TOKEN_CHARACTERS = 64 * 1024;
const MAX_USERNAME_CHARACTERS = 256;
/** It is sealed beside the token. */
const MAX_HANDLE_CHARACTERS = 8 * 1024;

const TOKEN_TYPE = /^[A-Za-z][A-Za-z0-9._~-]{0,63}$/;
/** What goes into a header (RFC 6750 §2.1, and a little more): anything else would be an injection. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;
// eslint-disable-next-line no-control-regex -- control characters are what is refused
const CONTROL = /[\x00-\x1f\x7f]/;

/**
 * What is wrong with a credential that a provider says it was issued, whatever the kind of provider; `undefined`: nothing.
 * It is stored, sent, and put into headers by others from here on. Never holds a value.
 */
export function problemOf({
  accessToken,
  tokenType,
  username,
  lifeMs,
  revocationHandle,
}: IssuedToken): string | undefined {
  const text = accessToken.reveal();
  if (typeof text !== 'string' || text === '') return 'the token is no text, or empty';
  if (text.length > MAX_TOKEN_CHARACTERS) return `the token is longer than ${String(MAX_TOKEN_CHARACTERS)} characters`;
  if (typeof tokenType !== 'string' || !TOKEN_TYPE.test(tokenType)) return 'its type is no word';
  if (CONTROL.test(text)) return 'the token holds control characters';
  if (tokenType === 'Bearer' && !VISIBLE_ASCII.test(text)) {
    return 'the token holds characters other than visible ASCII';
  }
  if (!Number.isFinite(lifeMs) || lifeMs < 1) return 'its life is no positive number of milliseconds';
  const handle = revocationHandle?.reveal();
  if (handle !== undefined && (typeof handle !== 'string' || handle === '' || handle.length > MAX_HANDLE_CHARACTERS))
    return 'what takes it back is no text, empty, or too long';
  if (username === undefined) return undefined;
  const isName = username !== '' && username.length <= MAX_USERNAME_CHARACTERS && !CONTROL.test(username);
  return isName ? undefined : 'its user name is empty, too long, or holds control characters';
}
