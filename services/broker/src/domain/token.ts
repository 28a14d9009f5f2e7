/** A token as it is handed out. In memory and on the caller's own inbox only; sealed everywhere else. */
export interface Token {
  readonly accessToken: string;
  /** `Bearer` (RFC 6750). */
  readonly tokenType: string;
  /** Granted scopes, where the identity provider named them. */
  readonly scope?: string;
}
