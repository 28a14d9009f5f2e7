import type { JsonWebKey } from 'node:crypto';

/** A client that the provider knows. It may use every grant that the provider has. */
export interface IdentityClient {
  readonly clientId: string;
  /** For the two methods that use one, which need it. */
  readonly clientSecret?: string;
  /** How the client proves itself, and may do in no other way. Default `client_secret_basic`. */
  readonly clientAuthentication?:
    'client_secret_basic' | 'client_secret_post' | 'private_key_jwt' | 'tls_client_auth' | 'none';
  /** Public keys: of `private_key_jwt`, and of the assertions that name this client as their issuer. */
  readonly keys?: readonly JsonWebKey[];
  /** The certificate of `tls_client_auth`, as PEM text: no other is taken. It must name `localhost`. */
  readonly certificate?: string;
  /** Whether the tokens of a `tls_client_auth` client are bound to its certificate (RFC 8705 §3). Default false. */
  readonly certificateBoundTokens?: boolean;
  /** The scopes that it may ask for. Default none. */
  readonly scopes?: readonly string[];
}
