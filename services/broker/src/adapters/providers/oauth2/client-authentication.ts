import type { Clock } from '@token-broker/foundation';
import type { OAuth2SourceConfiguration } from '@token-broker/configuration';
import * as oauth from 'openid-client';
import { keyOnDemand } from './signing-key.js';

/** How one request proves which client makes it. */
export interface ClientProof {
  readonly authentication: oauth.ClientAuth;
  /** What openid-client must know of the client beside its id. */
  readonly metadata: { readonly use_mtls_endpoint_aliases: boolean };
}

/** An assertion is good for this long (RFC 7523 §3, item 4): long enough for the way and for clocks that differ. */
const ASSERTION_LIFE_SECONDS = 60;

/** The means of RFC 6749 §2.3, RFC 7523 §2.2 and RFC 8705 §2.1. The certificate of the latter is shown by the HTTP pool. */
export function createClientProofs(source: OAuth2SourceConfiguration, clock: Clock): () => Promise<ClientProof> {
  const { clientAuthentication } = source;
  const always = (authentication: oauth.ClientAuth, isMutualTls = false): (() => Promise<ClientProof>) => {
    const proof = { authentication, metadata: { use_mtls_endpoint_aliases: isMutualTls } };
    return () => Promise.resolve(proof);
  };
  switch (clientAuthentication.kind) {
    case 'client_secret_basic':
      return always(oauth.ClientSecretBasic(clientAuthentication.clientSecret.reveal()));
    case 'client_secret_post':
      return always(oauth.ClientSecretPost(clientAuthentication.clientSecret.reveal()));
    case 'tls_client_auth':
      return always(oauth.TlsClientAuth(), true);
    case 'none':
      return always(oauth.None());
    case 'private_key_jwt': {
      const { key } = clientAuthentication;
      const importKey = keyOnDemand(key);
      const complete = assertionOf(source, key.algorithm, clock);
      return async () => {
        const imported = await importKey();
        const privateKey = imported.keyId === undefined ? imported.key : { key: imported.key, kid: imported.keyId };
        const authentication = oauth.PrivateKeyJwt(privateKey, { [oauth.modifyAssertion]: complete });
        return { authentication, metadata: { use_mtls_endpoint_aliases: false } };
      };
    }
  }
}

/** The library fills in issuer, subject, a fresh `jti`, and the audience where the issuer is known. */
function assertionOf(
  { endpoint }: OAuth2SourceConfiguration,
  algorithm: string,
  clock: Clock,
): oauth.ModifyAssertionFunction {
  return (header, payload) => {
    // The library knows Ed25519 by its newer name (RFC 9864), which few identity providers do.
    header['alg'] = algorithm;
    const nowSeconds = Math.floor(clock.wallMs() / 1_000);
    payload['iat'] = nowSeconds;
    payload['exp'] = nowSeconds + ASSERTION_LIFE_SECONDS;
    // It says nothing beyond `iat`, and a clock that is a second behind refuses it.
    delete payload['nbf'];
    if (endpoint.kind === 'token-endpoint') payload['aud'] = endpoint.tokenEndpoint;
  };
}
