import { within, type Clock } from '@token-broker/foundation';
import { inboxPrefixOf } from '@token-broker/protocol';
import {
  connect,
  credsAuthenticator,
  ErrorCode,
  nkeyAuthenticator,
  usernamePasswordAuthenticator,
  type Authenticator,
  type NatsConnection,
  type TlsOptions,
} from 'nats';
import { CommandFailure, usageFailure } from './command-failure.js';
import type { ConnectionSettings, NatsLogin } from './connection-settings.js';
import { EXIT } from './exit-codes.js';

const BAD_CREDENTIALS: string = ErrorCode.BadCreds;
const REFUSED: string = ErrorCode.ConnectionRefused;
const TIMED_OUT: ReadonlySet<string> = new Set([ErrorCode.ConnectionTimeout, ErrorCode.Timeout]);
const DENIED: ReadonlySet<string> = new Set([
  ErrorCode.AuthorizationViolation,
  ErrorCode.AuthenticationExpired,
  ErrorCode.AuthenticationTimeout,
  ErrorCode.AccountExpired,
  ErrorCode.BadAuthentication,
]);

/**
 * Connects once: each server is tried, and then that is it. An established connection that breaks is restored while a
 * request waits, since every request of the protocol may be sent twice.
 *
 * @throws {CommandFailure} within `timeoutMs`
 */
export async function connectNats(settings: ConnectionSettings, clock: Clock): Promise<NatsConnection> {
  const { servers, timeoutMs, caller, login } = settings;
  const authenticator = authenticatorOf(login);
  const tls = tlsOf(settings);
  const attempt = connect({
    servers: [...servers],
    name: 'tokenctl',
    inboxPrefix: inboxPrefixOf(caller),
    timeout: timeoutMs,
    pingInterval: 2_000,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls === undefined ? {} : { tls }),
  });
  try {
    const connected = await within(clock, timeoutMs, attempt);
    if (connected.inTime) return connected.value;
  } catch (error) {
    throw failureOf(error, settings);
  }
  // It may still succeed, with nobody left to close it.
  attempt.then((connection) => connection.close()).catch(() => undefined);
  throw unreachable(settings, `no answer within ${String(timeoutMs)} ms`);
}

/** What is shown when an established connection was closed for good while something waited for it. */
export function lostConnection(settings: ConnectionSettings, reason: unknown): CommandFailure {
  return reason instanceof Error
    ? failureOf(reason, settings)
    : unreachable(settings, 'the connection was closed while a request waited');
}

function failureOf(error: unknown, settings: ConnectionSettings): CommandFailure {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  const { login } = settings;
  if (DENIED.has(code)) {
    return new CommandFailure(
      {
        code: 'NATS_DENIED',
        message: `the NATS server at ${settings.servers.join(', ')} does not let ${whoOf(login)} in`,
        remedy: 'Check the user and its password, creds or nkey against the authorization of the NATS server.',
      },
      EXIT.denied,
    );
  }
  if (code === BAD_CREDENTIALS || /nkey|seed|checksum|base32/i.test(`${code} ${message}`))
    return usageFailure(
      `the ${login.kind === 'nkey' ? 'nkey seed' : 'credentials'} cannot be used`,
      'Check that the file is what `nsc` or `nk` wrote.',
    );
  if (code === REFUSED) return unreachable(settings, 'connection refused');
  if (TIMED_OUT.has(code)) return unreachable(settings, 'timeout');
  return unreachable(settings, message === '' ? code : message);
}

function whoOf(login: NatsLogin): string {
  switch (login.kind) {
    case 'none':
      return 'anybody without credentials';
    case 'user':
      return `the user ${JSON.stringify(login.user)}`;
    default:
      return `the holder of this ${login.kind === 'nkey' ? 'nkey' : 'creds file'}`;
  }
}

function unreachable({ servers }: ConnectionSettings, reason: string): CommandFailure {
  return new CommandFailure(
    {
      code: 'NATS_UNAVAILABLE',
      message: `cannot reach NATS at ${servers.join(', ')}: ${reason}`,
      remedy: 'Check --server (or TOKENCTL_SERVER), and that the NATS server runs and can be reached from here.',
    },
    EXIT.unavailable,
  );
}

/** The driver takes no notice of the scheme `tls://`: only options make it insist on TLS. */
function tlsOf({ servers, ca }: ConnectionSettings): TlsOptions | undefined {
  if (ca !== undefined) return { ca };
  return servers.some((server) => /^tls:/i.test(server)) ? {} : undefined;
}

function authenticatorOf(login: NatsLogin): Authenticator | undefined {
  const encoder = new TextEncoder();
  switch (login.kind) {
    case 'none':
      return undefined;
    case 'user':
      return usernamePasswordAuthenticator(login.user, login.password.reveal());
    case 'creds':
      return credsAuthenticator(encoder.encode(login.creds.reveal()));
    case 'nkey':
      return nkeyAuthenticator(encoder.encode(login.seed.reveal()));
  }
}
