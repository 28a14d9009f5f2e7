import type { Redacted } from '@token-broker/foundation';
import type { AdminDoorConfiguration, ClientAuthentication, SourceConfiguration } from './configuration.js';

/** Every secret that a source's configuration holds: what must be in no log line, whoever repeats it. */
export function secretsOf(source: SourceConfiguration): readonly Redacted[] {
  const { grant, proxy, clientAuthentication } = source;
  return [
    ...authenticationSecrets(clientAuthentication),
    ...(grant.kind === 'jwt_bearer' && grant.assertion.from === 'key' ? [grant.assertion.key.privateKey] : []),
    ...(proxy === undefined ? [] : [proxy]),
  ];
}

/** The same of the HTTP door. */
export function secretsOfDoor({ tls, tokens }: AdminDoorConfiguration): readonly Redacted[] {
  return [
    ...(tls === undefined ? [] : [tls.key]),
    ...tokens.flatMap(({ token }) => (token === undefined ? [] : [token])),
  ];
}

function authenticationSecrets(authentication: ClientAuthentication): readonly Redacted[] {
  switch (authentication.kind) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return [authentication.clientSecret];
    case 'private_key_jwt':
      return [authentication.key.privateKey];
    case 'tls_client_auth':
      return [authentication.key];
    case 'none':
      return [];
  }
}
