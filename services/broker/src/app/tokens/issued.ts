import type { Token } from '../../domain/token.js';
import type { IssuedToken } from '../ports/provider.js';

/** What is kept, and handed out, of what a provider has issued. */
export function tokenOf({ accessToken, tokenType, scope, username }: IssuedToken): Token {
  return {
    accessToken: accessToken.reveal(),
    tokenType,
    ...(scope === undefined ? {} : { scope }),
    ...(username === undefined ? {} : { username }),
  };
}
