import { ok } from '@token-broker/foundation';
import { LIMITS } from '@token-broker/protocol';
import { refuse, setting, wrongKind } from '../settings.js';

/** As a header's scheme is written (RFC 9110 §11.1). */
const TOKEN_TYPE = /^[A-Za-z][A-Za-z0-9._~-]{0,63}$/;
const CONTROL = /\p{Cc}/u;

/** What kind of credential a source hands out, where it is not fixed by its provider. */
export const tokenType = setting(
  {
    type: 'string',
    minLength: 1,
    description:
      'What applications are told that it is: `Bearer` for a header, `password` for a password, or your own word.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a word such as Bearer', input));
    if (/^bearer$/i.test(input)) return ok('Bearer');
    return TOKEN_TYPE.test(input) ? ok(input) : refuse('is not a type', 'one word, such as Bearer or password');
  },
);

export const username = setting(
  { type: 'string', minLength: 1, description: 'Whose it is, where a user name goes with it: a database user, say.' },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('text', input));
    if (input === '') return refuse('is empty');
    if (input.length > LIMITS.usernameCharacters)
      return refuse(`is longer than ${String(LIMITS.usernameCharacters)} characters`);
    return CONTROL.test(input) ? refuse('holds a control character') : ok(input);
  },
);
