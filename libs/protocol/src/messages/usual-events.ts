import { isIdentifier, isSlot, isUsername } from '../identifiers.js';
import { LIMITS } from '../limits.js';
import { hasFields, isObject, isOrdinal, isPartition, isText, isTiming } from '../usual.js';
import type { Heartbeat, Invalidation, PushedToken, Receipt, RefreshedEvent } from './events.js';

const MAX_ID_CHARACTERS = 64;
const FIELDS_OF_HEARTBEAT = 7;
const FIELDS_OF_INVALIDATION = 3;
const FIELDS_OF_CHANGE = 4;
const FIELDS_OF_EVENT = 10;
const FIELDS_OF_PUSH = 2;
const FIELDS_OF_TOKEN = 2;
const FIELDS_OF_RECEIPT = 3;
/** Base64url in whole groups of four, or with the two or three characters that a last group may have without padding. */
const BASE64URL = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2,3})?$/;

/**
 * Whether a value is an event as brokers write them: what the schema takes as it is, with no field that it does not name. Of
 * what is not, the schema is the judge. Revocations are rare, and so the schema's code is cold when one comes: it would take a
 * quarter of a millisecond then, as long as all the rest of the way.
 */
export function isUsualInvalidation(value: unknown): value is Invalidation {
  if (!isObject(value)) return false;
  const { id, changes, ackTo, receipts } = value;
  const optional = (ackTo === undefined ? 0 : 1) + (receipts === undefined ? 0 : 1);
  return (
    value['v'] === 1 &&
    isText(id) &&
    id.length <= MAX_ID_CHARACTERS &&
    Array.isArray(changes) &&
    changes.length >= 1 &&
    changes.length <= LIMITS.changesPerInvalidation &&
    changes.every(isUsualChange) &&
    (ackTo === undefined || isName(ackTo)) &&
    (receipts === undefined || typeof receipts === 'boolean') &&
    hasFields(value, FIELDS_OF_INVALIDATION + optional)
  );
}

function isUsualChange(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { slot, sources } = value;
  const optional = (slot === undefined ? 0 : 1) + (sources === undefined ? 0 : 1);
  return (
    isPartition(value['partition']) &&
    isOrdinal(value['epoch']) &&
    isOrdinal(value['vseq']) &&
    isOrdinal(value['floor']) &&
    (slot === undefined || isSlotName(slot)) &&
    (sources === undefined || (Array.isArray(sources) && sources.every(isName))) &&
    hasFields(value, FIELDS_OF_CHANGE + optional)
  );
}

/** See {@link isUsualInvalidation}. */
export function isUsualHeartbeat(value: unknown): value is Heartbeat {
  if (!isObject(value)) return false;
  const { epochs, vseqs } = value;
  return (
    value['v'] === 1 &&
    isName(value['broker']) &&
    isOrdinal(value['ageMs']) &&
    isOrdinal(value['atMs']) &&
    areOrdinals(epochs) &&
    areOrdinals(vseqs) &&
    isTiming(value['timing']) &&
    hasFields(value, FIELDS_OF_HEARTBEAT)
  );
}

/** See {@link isUsualInvalidation}. */
export function isUsualRefreshedEvent(value: unknown): value is RefreshedEvent {
  if (!isObject(value)) return false;
  const { push } = value;
  return (
    value['v'] === 1 &&
    value['kind'] === 'refreshed' &&
    isName(value['source']) &&
    isSlotName(value['slot']) &&
    isPartition(value['partition']) &&
    isOrdinal(value['epoch']) &&
    isOrdinal(value['generation']) &&
    isOrdinal(value['asOf']) &&
    isOrdinal(value['expiresAtMs']) &&
    isOrdinal(value['lifeMs']) &&
    (push === undefined || isPush(push)) &&
    hasFields(value, FIELDS_OF_EVENT + (push === undefined ? 0 : 1))
  );
}

/** See {@link isUsualInvalidation}. */
export function isUsualPushedToken(value: unknown): value is PushedToken {
  if (!isObject(value)) return false;
  const { scope, username } = value;
  return (
    isText(value['accessToken']) &&
    isText(value['tokenType']) &&
    (scope === undefined || typeof scope === 'string') &&
    (username === undefined || (typeof username === 'string' && isUsername(username))) &&
    hasFields(value, FIELDS_OF_TOKEN + (scope === undefined ? 0 : 1) + (username === undefined ? 0 : 1))
  );
}

/** See {@link isUsualInvalidation}. Of receipts, there may be ten thousand at once. */
export function isUsualReceipt(value: unknown): value is Receipt {
  if (!isObject(value)) return false;
  const { id } = value;
  return (
    value['v'] === 1 &&
    isText(id) &&
    id.length <= MAX_ID_CHARACTERS &&
    isName(value['instance']) &&
    hasFields(value, FIELDS_OF_RECEIPT)
  );
}

function isPush(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { channelVersion, sealed } = value;
  return (
    isOrdinal(channelVersion) &&
    typeof sealed === 'string' &&
    BASE64URL.test(sealed) &&
    hasFields(value, FIELDS_OF_PUSH)
  );
}

function areOrdinals(value: unknown): boolean {
  return Array.isArray(value) && value.length >= 1 && value.every(isOrdinal);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && isIdentifier(value);
}

function isSlotName(value: unknown): boolean {
  return typeof value === 'string' && isSlot(value);
}
