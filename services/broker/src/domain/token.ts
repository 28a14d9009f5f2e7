/** A token as it is handed out. In memory and on the caller's own inbox only; sealed everywhere else. */
export interface Token {
  /** One text, whatever the credential is. */
  readonly accessToken: string;
  /** `Bearer` (RFC 6750) as a rule; says how `accessToken` is to be read. */
  readonly tokenType: string;
  /** Granted scopes, where the identity provider named them. */
  readonly scope?: string;
  /** Whose password it is, where it is one. */
  readonly username?: string;
}

/** What a client is told of a token, and nothing that a record of a later version may hold beside it. */
export function handedOut({ accessToken, tokenType, scope, username }: Token): Token {
  return {
    accessToken,
    tokenType,
    ...(scope === undefined ? {} : { scope }),
    ...(username === undefined ? {} : { username }),
  };
}
