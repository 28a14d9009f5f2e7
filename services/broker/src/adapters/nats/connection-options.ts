import type { NatsConfiguration, NatsCredentials } from '@token-broker/configuration';
import {
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
  type Authenticator,
  type ConnectionOptions,
  type TlsOptions,
} from 'nats';

const encoder = new TextEncoder();

/**
 * The driver's options, made anew for each connection since the driver keeps and changes them. A dead link is found
 * after three unanswered pings (4 to 6 s; the driver's default takes 6 minutes), reconnecting never ends, and refused
 * credentials do not end it either: they may be restored.
 */
export function connectionOptions(
  configuration: NatsConfiguration,
  credentials: NatsCredentials,
  names: { readonly name: string; readonly inboxPrefix: string },
): () => ConnectionOptions {
  const tls = tlsOptions(configuration);
  const authenticator = authenticatorOf(credentials);
  return () => ({
    servers: [...configuration.servers],
    ...names,
    pingInterval: 2_000,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    reconnectJitterTLS: 500,
    timeout: 2_000,
    ignoreAuthErrorAbort: true,
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls === undefined ? {} : { tls: { ...tls } }),
  });
}

/** The driver takes no notice of the scheme `tls://`: only options make it insist on TLS. */
function tlsOptions({ tls, servers }: NatsConfiguration): TlsOptions | undefined {
  if (tls === undefined) return servers.some((server) => /^(tls|wss):/i.test(server)) ? {} : undefined;
  // The driver hands unknown options on to `tls.connect`, where `servername` is what the certificate is checked against.
  const options: TlsOptions & { servername?: string } = {};
  if (tls.ca !== undefined) options.ca = tls.ca;
  if (tls.cert !== undefined) options.cert = tls.cert;
  if (tls.key !== undefined) options.key = tls.key.reveal();
  if (tls.serverName !== undefined) options.servername = tls.serverName;
  return options;
}

function authenticatorOf(credentials: NatsCredentials): Authenticator | undefined {
  switch (credentials.kind) {
    case 'none':
      return undefined;
    case 'user':
      return usernamePasswordAuthenticator(credentials.user, credentials.password.reveal());
    case 'nkey':
      return nkeyAuthenticator(encoder.encode(credentials.seed.reveal()));
    case 'creds':
      return credsAuthenticator(encoder.encode(credentials.creds.reveal()));
    case 'token':
      return tokenAuthenticator(credentials.token.reveal());
  }
}
