import { isErrorCode } from '@token-broker/protocol';
import type { AsOf, Failed, Hit, InvalidationTarget, LogEntry, StoredChannel } from '../../app/ports/store.js';
import type { ReplyValue } from './scripts.js';

/** One reply of a script: a tag, as of when it is true, and values. */
export interface Reply {
  readonly tag: string;
  readonly asOf: AsOf;
  text(index: number): string;
  number(index: number): number;
  bytes(index: number): Uint8Array;
  list(index: number): readonly ReplyValue[];
  readonly length: number;
}

const HEAD = 4;

export function parseReply(values: readonly ReplyValue[], sentAtMs: number): Reply {
  const text = (index: number): string => textOf(values[index]);
  const asOf: AsOf = { epoch: numberOf(text(1)), vseq: numberOf(text(2)), redisMs: numberOf(text(3)), sentAtMs };
  return {
    tag: text(0),
    asOf,
    text: (index) => text(HEAD + index),
    number: (index) => numberOf(text(HEAD + index)),
    bytes: (index) => bytesOf(values[HEAD + index]),
    list: (index) => listOf(values[HEAD + index]),
    length: values.length - HEAD,
  };
}

export function parseHit(reply: Reply): Hit {
  const channel = parseChannel(reply, 4);
  return {
    kind: 'hit',
    asOf: reply.asOf,
    floor: reply.number(0),
    record: { generation: reply.number(1), expiresAtMs: reply.number(2), sealed: reply.bytes(3) },
    ...(channel === undefined ? {} : { channel }),
  };
}

export function parseFailed(reply: Reply): Failed {
  const code = reply.text(0);
  return {
    kind: 'failed',
    asOf: reply.asOf,
    code: isErrorCode(code) ? code : 'INTERNAL',
    message: reply.text(1),
    remainingMs: reply.number(2),
  };
}

export function parseChannel(reply: Reply, index: number): StoredChannel | undefined {
  const version = reply.text(index);
  return version === '' ? undefined : { version: numberOf(version), sealed: reply.bytes(index + 1) };
}

/** Entries of the invalidation log: `[id, [field, value, …]]`, as XRANGE gives them. */
export function parseLog(rows: readonly ReplyValue[]): LogEntry[] {
  return rows.map((row) => {
    const [id, pairs] = listOf(row);
    const fields = new Map<string, string>();
    const flat = listOf(pairs).map((value) => textOf(value));
    for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] ?? '', flat[i + 1] ?? '');
    return {
      vseq: numberOf(textOf(id).split('-')[0] ?? ''),
      floor: numberOf(fields.get('floor') ?? ''),
      target: parseTarget(fields.get('target') ?? ''),
    };
  });
}

/** Sources that are paused, as the scripts keep them: ` a=1700000000000 b=1700000000001`. */
export function parsePaused(text: string): ReadonlyMap<string, number> {
  const words = text.split(' ').filter((word) => word !== '');
  return new Map(words.map((word) => [word.split('=')[0] ?? '', numberOf(word.split('=')[1] ?? '')]));
}

/** The spelling of a target in scripts and in the log. */
export function formatTarget(target: InvalidationTarget): string {
  switch (target.kind) {
    case 'slot':
      return `slot:${target.slot}`;
    case 'source':
      return `source:${target.source}`;
    case 'provider':
      return `provider:${target.provider}`;
    case 'all':
      return 'all';
  }
}

function parseTarget(text: string): InvalidationTarget {
  const colon = text.indexOf(':');
  const name = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case 'slot':
      return { kind: 'slot', slot: name };
    case 'source':
      return { kind: 'source', source: name };
    case 'provider':
      return { kind: 'provider', provider: name };
    default:
      // An unknown selector of a later version: everything is the safe reading.
      return { kind: 'all' };
  }
}

export function textOf(value: ReplyValue | undefined): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : '';
}

export function bytesOf(value: ReplyValue | undefined): Uint8Array {
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}

export function listOf(value: ReplyValue | undefined): readonly ReplyValue[] {
  return Array.isArray(value) ? (value as readonly ReplyValue[]) : [];
}

export function numberOf(text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && text !== '' ? value : 0;
}
