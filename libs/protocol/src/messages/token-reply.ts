import { isSlot } from '../identifiers.js';
import { hasFields, isObject, isOrdinal, isPartition, isText, isTiming } from '../usual.js';
import type { GetReply } from './get.js';

const CHANNEL_KEY = /^[A-Za-z0-9_-]{43}$/;
const REQUIRED_FIELDS = 13;
const FIELDS_OF_CHANNEL = 2;

/**
 * Whether a value is a token reply as brokers write them: what the schema takes as it is, with no field that it does not name.
 * Of what is not, the schema is the judge. A client reads thousands of them in a second, each in a twentieth of the time.
 */
export function isUsualTokenReply(value: unknown): value is GetReply {
  if (!isObject(value)) return false;
  const { scope, username, channel, timing } = value;
  // Names with control characters are rare, and so are names at all.
  if (username !== undefined || !(scope === undefined || typeof scope === 'string')) return false;
  const optional = (scope === undefined ? 0 : 1) + (channel === undefined ? 0 : 1) + (timing === undefined ? 0 : 1);
  return (
    value['v'] === 1 &&
    isPartition(value['partition']) &&
    isOrdinal(value['epoch']) &&
    isOrdinal(value['generation']) &&
    isOrdinal(value['asOf']) &&
    isOrdinal(value['expiresInMs']) &&
    isOrdinal(value['lifeMs']) &&
    isOrdinal(value['atMs']) &&
    isOrdinal(value['heldMs']) &&
    typeof value['verified'] === 'boolean' &&
    isText(value['accessToken']) &&
    isText(value['tokenType']) &&
    typeof value['slot'] === 'string' &&
    isSlot(value['slot']) &&
    (channel === undefined || isChannel(channel)) &&
    (timing === undefined || isTiming(timing)) &&
    hasFields(value, REQUIRED_FIELDS + optional)
  );
}

function isChannel(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { version, key } = value;
  return isOrdinal(version) && typeof key === 'string' && CHANNEL_KEY.test(key) && hasFields(value, FIELDS_OF_CHANNEL);
}
