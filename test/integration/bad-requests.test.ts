import fc from 'fast-check';
import { LIMITS, type ErrorCode } from '@token-broker/protocol';
import { eventually, type NatsUser } from '@token-broker/testing';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from './raw-caller.js';
import { metricValue, startStack, type Stack } from './stack.js';

/** The longest answer that is still one clear sentence. */
const MAX_SENTENCE_CHARACTERS = 200;

let stack: Stack;
let connection: NatsConnection;
let orders: RawCaller;
let ops: RawCaller;

beforeAll(async () => {
  stack = await startStack({ brokers: 1 });
  // NATS alone would stop what the broker must stop as well.
  await stack.changeNatsUsers((users) => users.map((user) => (user.user === 'orders' ? unleashed(user) : user)));
  connection = await stack.connectAs('orders');
  orders = createRawCaller(connection, 'orders');
  ops = createRawCaller(await stack.connectAs('ops'), 'ops');
});
afterAll(() => stack.stop());

function unleashed(user: NatsUser): NatsUser {
  return { ...user, permissions: { ...user.permissions, publish: ['token-broker.v1.*.orders.>', SYNC] } };
}

const GET = subjects.get('orders', 'payments-api');
const REJECTED = subjects.rejected('orders', 'payments-api');
const SYNC = subjects.sync('orders');
const REVOKE = subjects.admin('ops', 'revoke');
const json = (value: unknown): string => JSON.stringify(value);
const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;

interface BadRequest {
  readonly what: string;
  readonly subject?: string;
  readonly body?: string | Uint8Array;
  readonly code?: ErrorCode;
  /** What the message must say. */
  readonly says: RegExp;
}

const BAD_FORM: readonly BadRequest[] = [
  { what: 'not JSON', body: '{"scope":', says: /not JSON/ },
  { what: 'no object', body: '[]', says: /object/ },
  { what: 'null', body: 'null', says: /object/ },
  { what: 'invalid UTF-8', body: Buffer.from('{"audience":"\xff\xfe"}', 'latin1'), says: /UTF-8/ },
  { what: 'oversize', body: json({ audience: 'a'.repeat(LIMITS.requestBytes) }), says: /bytes/ },
  { what: 'nested too deep', body: `{"scope":${nested(LIMITS.depth)}}`, says: /nested deeper than 8/ },
  { what: 'nested without an end', body: '['.repeat(LIMITS.requestBytes), says: /nested deeper than 8/ },
  { what: '__proto__', body: '{"__proto__":{"admin":true}}', says: /forbidden name/ },
  { what: 'an escaped __proto__', body: '{"\\u005f_proto__":{"admin":true}}', says: /forbidden name/ },
  { what: '__proto__ further in', body: '{"after":{"__proto__":{}}}', says: /forbidden name/ },
  { what: 'constructor', body: '{"constructor":{"prototype":{}}}', says: /forbidden name/ },
  { what: 'an unsupported version', body: json({ v: 2 }), says: /v: unsupported version.*version 1/ },
  { what: 'an unknown field', body: json({ scopes: 'payments:read' }), says: /unknown field "scopes"/ },
  {
    what: 'an unknown verb',
    subject: subjects.admin('ops', 'explode'),
    says: /unknown verb.*revoke, pause, resume, list/,
  },
  {
    what: 'a source that is no name',
    subject: subjects.get('orders', 'pay$ments'),
    says: /the source in the subject must match/,
  },
  {
    what: 'a source of 65 characters',
    subject: subjects.get('orders', 'a'.repeat(65)),
    says: /the source in the subject must match/,
  },
];

const BAD_FIELDS: readonly BadRequest[] = [
  { what: 'another caller in the body', body: json({ caller: 'billing' }), says: /^caller: is not the caller/ },
  {
    what: 'another caller in the body of a report',
    subject: REJECTED,
    body: json({ caller: 'billing', epoch: 1, generation: 1 }),
    says: /^caller: is not the caller/,
  },
  {
    what: 'another caller in the body of a sync',
    subject: SYNC,
    body: json({ caller: 'billing', instance: 'a' }),
    says: /^caller: is not the caller/,
  },
  { what: 'NUL in the audience', body: json({ audience: 'a\0b' }), says: /^audience: .*control characters/ },
  { what: 'a newline in the audience', body: json({ audience: 'a\nb' }), says: /^audience: .*control characters/ },
  { what: 'a carriage return in the resource', body: json({ resource: 'a\rb' }), says: /^resource: .*control char/ },
  { what: 'NUL in the scope', body: json({ scope: 'a\0b' }), says: /^scope\.0: is not a scope/ },
  { what: 'a newline in the scope', body: json({ scope: ['a\nb'] }), says: /^scope\.0: is not a scope/ },
  { what: 'an audience over 256 characters', body: json({ audience: 'a'.repeat(257) }), says: /^audience: .*256/ },
  { what: 'a resource over 256 characters', body: json({ resource: 'a'.repeat(257) }), says: /^resource: .*256/ },
  { what: 'a scope over 256 characters', body: json({ scope: ['a'.repeat(257)] }), says: /^scope\.0: .*256/ },
  { what: 'too many scopes', body: json({ scope: Array.from({ length: 65 }, String) }), says: /^scope: / },
  { what: 'no scope in the scope', body: json({ scope: ' ' }), says: /^scope: / },
  { what: 'a subject token that nobody wants', body: json({ subjectToken: 'x' }), says: /takes no subject token/ },
  { what: 'a deadline above the limit', body: json({ deadlineMs: LIMITS.deadlineMs + 1 }), says: /^deadlineMs: / },
  { what: 'a deadline that is no integer', body: json({ deadlineMs: 1.5 }), says: /^deadlineMs: .*integer/ },
  ...[1.5, '1', -1, 2 ** 53, null].map((generation) => ({
    what: `the generation ${json(generation)}`,
    subject: REJECTED,
    body: json({ epoch: 1, generation }),
    says: /^generation: /,
  })),
  { what: 'a report of nothing', subject: REJECTED, says: /not JSON/ },
  { what: 'a revocation of nothing', subject: REVOKE, body: '{}', says: /^selector: must be one of/ },
  {
    what: 'a revocation without a reason',
    subject: REVOKE,
    body: json({ selector: { all: true } }),
    says: /^reason: is required/,
  },
  {
    what: 'a revocation with an empty reason',
    subject: REVOKE,
    body: json({ selector: { all: true }, reason: ' ' }),
    says: /^reason: is empty/,
  },
  {
    what: 'a revocation of "*"',
    subject: REVOKE,
    body: json({ selector: '*', reason: 'a test' }),
    says: /^selector: must be one of/,
  },
  { what: 'a status with a wish', subject: subjects.admin('ops', 'status'), body: '{"a":1}', says: /unknown field/ },
  { what: 'a sync without an instance', subject: SYNC, body: '{}', says: /^instance: / },
];

const REFUSED: readonly BadRequest[] = [
  {
    what: 'an unknown source',
    subject: subjects.get('ops', 'nowhere'),
    code: 'UNKNOWN_SOURCE',
    says: /no source "nowhere"/,
  },
  {
    what: 'a revocation of an unknown source',
    subject: REVOKE,
    body: json({ selector: { source: 'nowhere' }, reason: 'a test' }),
    code: 'UNKNOWN_SOURCE',
    says: /no source "nowhere"/,
  },
  { what: 'a source beyond policy', subject: subjects.get('orders', 'orders-api'), code: 'FORBIDDEN', says: /policy/ },
  { what: 'a scope beyond policy', body: json({ scope: 'admin:all' }), code: 'FORBIDDEN', says: /scope "admin:all"/ },
  {
    what: 'an audience beyond policy',
    body: json({ audience: 'https://other.example' }),
    code: 'FORBIDDEN',
    says: /audience "https:\/\/other\.example"/,
  },
  {
    what: 'a resource beyond policy',
    body: json({ resource: 'https://other.example' }),
    code: 'FORBIDDEN',
    says: /resource "https:\/\/other\.example"/,
  },
  {
    what: 'a report beyond policy',
    subject: subjects.rejected('orders', 'orders-api'),
    body: json({ epoch: 1, generation: 1 }),
    code: 'FORBIDDEN',
    says: /policy/,
  },
  { what: 'a deadline that is now', body: json({ deadlineMs: 0 }), code: 'DEADLINE', says: /past/ },
  { what: 'a deadline past', body: json({ deadlineMs: -1_000 }), code: 'DEADLINE', says: /past/ },
  ...['revoke', 'list', 'status', 'reload', 'explode'].map((verb) => ({
    what: `${verb} by a non-operator`,
    subject: subjects.admin('orders', verb),
    body: json({ selector: { all: true }, reason: 'a test' }),
    code: 'FORBIDDEN' as const,
    says: /not an operator/,
  })),
];

describe.each([
  ['a request of a bad form', BAD_FORM],
  ['a request with a bad field', BAD_FIELDS],
  ['a request that is refused', REFUSED],
])('%s gets one clear error, and costs no call', (_, requests) => {
  it.each(requests)('$what', async ({ subject = GET, body, code = 'BAD_REQUEST', says }) => {
    const asker = subject.includes('.ops.') ? ops : orders;
    const refusal = await asker.refusal(subject, body);
    expect(refusal.code).toBe(code);
    expect(refusal.message).toMatch(says);
    expect(refusal.message.length).toBeLessThan(MAX_SENTENCE_CHARACTERS);
    expect(stack.idpCalls()).toBe(0);
    expect(asker.surplus()).toBe(0);
  });
});

async function dropped(reason: string): Promise<number> {
  return metricValue(await stack.metrics(), 'token_broker_requests_dropped_total', { reason });
}

describe('a request that must not be answered', () => {
  it('is dropped, audited and counted when its reply would leave the inbox of its caller', async () => {
    const replies = ['_INBOX.billing.x', '_INBOX.orders', '_INBOX.orders2.x', subjects.event('payments-api', 'x'), 'x'];
    for (const reply of replies) connection.publish(GET, '', { reply });
    await eventually(async () => (await dropped('reply-subject')) === replies.length, { what: 'the drops' });
    const audited = stack.logLines.map((line) => JSON.parse(line) as object).filter((line) => 'audit' in line);
    // The first at once; the rest is gathered, so that a flood cannot fill the disk.
    expect(audited).toContainEqual(
      expect.objectContaining({
        event: 'reply-subject.forged',
        by: 'orders',
        facts: { requests: 1, subject: GET, lastReply: '_INBOX.billing.x' },
      }),
    );
    expect(stack.idpCalls()).toBe(0);
  });

  it('is dropped and counted when it has no reply subject', async () => {
    connection.publish(GET);
    connection.publish(subjects.admin('orders', 'revoke'), json({ selector: { all: true }, reason: 'a test' }));
    await eventually(async () => (await dropped('no-reply-subject')) === 2, { what: 'the drops' });
    expect(stack.idpCalls()).toBe(0);
  });
});

describe('after all of them', () => {
  it('a good request is answered, by one call', async () => {
    const reply = await orders.token(GET);
    expect(reply.accessToken).not.toBe('');
    expect(stack.idpCalls()).toBe(1);
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('admin');
  });

  it('bodies made up at random get one reply each, and cost no call', async () => {
    const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.constantFrom('', '\0', 'orders', 'payments:read', '1', -0));
    const fields = 'v caller scope audience resource minTtlMs after minGeneration deadlineMs epoch generation instance';
    const record = fc.dictionary(fc.oneof(fc.constantFrom(...fields.split(' '), 'known', 'holds'), fc.string()), value);
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      record.map((object) => Buffer.from(json(object))),
    );
    const before = stack.idpCalls();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(GET, REJECTED, SYNC, REVOKE), body, async (subject, bytes) => {
        const asker = subject === REVOKE ? ops : orders;
        const reply = JSON.parse(Buffer.from(await asker.ask(subject, bytes)).toString()) as { v: number };
        expect(reply.v).toBe(1);
        expect(json(reply)).not.toContain('INTERNAL');
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(stack.idpCalls()).toBe(before);
    expect([orders.surplus(), ops.surplus()]).toEqual([0, 0]);
  });
});
