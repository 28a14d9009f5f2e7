import { isSlot } from '../identifiers.js';
import type { GetReply, TokenReply } from './get.js';

const CHANNEL_KEY = /^[A-Za-z0-9_-]{43}$/;
const REQUIRED_FIELDS = 13;
const FIELDS_OF_CHANNEL = 2;
const FIELDS_OF_TIMING = 3;

/**
 * Whether a value is a token reply as brokers write them: what the schema takes as it is, with no field that it does not name.
 * Of what is not, the schema is the judge. A client reads thousands of them in a second, each in a twentieth of the time.
 */
export function isUsualTokenReply(value: unknown): value is GetReply {
  if (typeof value !== 'object' || value === null) return false;
  const reply = value as Partial<TokenReply>;
  const { scope, username, channel, timing } = reply;
  // Names with control characters are rare, and so are names at all.
  if (username !== undefined || !(scope === undefined || typeof scope === 'string')) return false;
  const optional = (scope === undefined ? 0 : 1) + (channel === undefined ? 0 : 1) + (timing === undefined ? 0 : 1);
  return (
    reply.v === 1 &&
    isOrdinal(reply.partition) &&
    reply.partition < 1_024 &&
    isOrdinal(reply.epoch) &&
    isOrdinal(reply.generation) &&
    isOrdinal(reply.asOf) &&
    isOrdinal(reply.expiresInMs) &&
    isOrdinal(reply.lifeMs) &&
    isOrdinal(reply.atMs) &&
    isOrdinal(reply.heldMs) &&
    typeof reply.verified === 'boolean' &&
    isText(reply.accessToken) &&
    isText(reply.tokenType) &&
    typeof reply.slot === 'string' &&
    isSlot(reply.slot) &&
    (channel === undefined || isChannel(channel)) &&
    (timing === undefined || isTiming(timing)) &&
    Object.keys(value).length === REQUIRED_FIELDS + optional
  );
}

function isChannel(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { version, key } = value as { version?: unknown; key?: unknown };
  return (
    isOrdinal(version) &&
    typeof key === 'string' &&
    CHANNEL_KEY.test(key) &&
    Object.keys(value).length === FIELDS_OF_CHANNEL
  );
}

function isTiming(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { tickMs, maxStalenessMs, minLifetimeMs } = value as Record<string, unknown>;
  return (
    isOrdinal(tickMs) &&
    tickMs >= 1 &&
    isOrdinal(maxStalenessMs) &&
    isOrdinal(minLifetimeMs) &&
    Object.keys(value).length === FIELDS_OF_TIMING
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0;
}

function isOrdinal(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
