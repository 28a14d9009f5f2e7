import { randomBytes } from 'node:crypto';
import type { NatsUser } from '@token-broker/testing';

/** The configuration's YAML as an object. */
export type Settings = Readonly<Record<string, unknown>>;

export const CALLER = 'orders';
export const OPERATOR = 'ops';
export const SOURCE = 'payments-api';
/**
 * The NATS user of bare programs that ask, and of those that answer. Its name and the prefix of its subjects are as long as
 * the caller's and the broker's: the driver and the NATS server read every byte of them, on both sides.
 */
export const BARE_CALLER = 'direct';
export const BARE_RESPONDER = 'responder';
/** Subjects of bare programs look like those of a client with this prefix. */
export const BARE_PREFIX = 'bare-program';
export const BARE_SUBJECTS = `${BARE_PREFIX}.v1`;
/** Where bare events and receipts go. */
export const BARE_EVENT = `${BARE_SUBJECTS}.invalidation.0`;
export const BARE_RECEIPT = `${BARE_SUBJECTS}.ack.${BARE_CALLER}`;
/** Of every NATS user. Programs that a benchmark starts find it in their environment. */
export const PASSWORD = (process.env['TOKEN_BROKER_BENCH_PASSWORD'] ??= randomBytes(12).toString('hex'));
const KEY = randomBytes(32).toString('base64');

export interface Addresses {
  readonly nats: string;
  readonly redis: string;
  readonly tokenEndpoint: string;
}

/**
 * As a deployment would have it: authorisation by caller and source, metrics, default timing. Only Redis may take its time: a
 * benchmark on a busy machine is to be slow, not to fail.
 */
export function brokerSettings({ nats, redis, tokenEndpoint }: Addresses): Settings {
  return {
    namespace: 'bench',
    nats: {
      servers: [nats],
      user: 'broker',
      password: PASSWORD,
      events: { user: 'broker-events', password: PASSWORD },
    },
    redis: { url: redis, commandTimeout: '5s' },
    encryption: { keys: [{ id: 'k1', secret: KEY }] },
    http: { listen: '127.0.0.1:0' },
    sources: { [SOURCE]: sourceSettings(tokenEndpoint) },
    callers: {
      [CALLER]: { sources: [{ name: '*', audiences: 'any' }] },
      [OPERATOR]: { sources: ['*'], admin: true },
    },
  };
}

function sourceSettings(tokenEndpoint: string): Settings {
  return {
    provider: 'oauth2',
    grant: 'client_credentials',
    tokenEndpoint,
    allowInsecureHttp: true,
    clientId: 'payments',
    clientSecret: `${PASSWORD}-of-the-client`,
    scope: 'payments:read payments:write',
  };
}

/** Bare programs are bound by permissions too: what the NATS server checks must be the same for both sides. */
export const BARE_USERS: readonly NatsUser[] = [
  {
    user: BARE_CALLER,
    password: PASSWORD,
    permissions: { publish: [`${BARE_SUBJECTS}.>`], subscribe: [`_INBOX.${BARE_CALLER}.>`, `${BARE_SUBJECTS}.>`] },
  },
  {
    user: BARE_RESPONDER,
    password: PASSWORD,
    permissions: { publish: ['_INBOX.>', `${BARE_SUBJECTS}.>`], subscribe: [`${BARE_SUBJECTS}.>`] },
  },
];
