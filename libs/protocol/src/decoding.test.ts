import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decode, encode } from './decoding.js';
import { LIMITS } from './limits.js';
import { invalidationSchema } from './messages/events.js';
import { getRequestSchema, rejectedRequestSchema, tokenReplySchema } from './messages/get.js';
import { setRefreshTokenRequestSchema, statusReplySchema } from './messages/admin.js';
import { revokeRequestSchema } from './messages/revoke.js';
import { syncRequestSchema } from './messages/sync.js';

/** The reason why a body is refused; '' when it is taken. */
function refusal(body: unknown, schema: z.ZodType = getRequestSchema): string {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body instanceof Uint8Array ? body : encode(body);
  const decoded = decode(schema, bytes, LIMITS.requestBytes);
  return decoded.ok ? '' : decoded.error;
}

const SLOT = 'abcdefghijklmnopqrstuv';
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('decode', () => {
  it('gives back what was encoded', () => {
    const anything = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(anything, (value) => {
        const text = JSON.stringify(value);
        fc.pre(!/"(__proto__|constructor|prototype)":/.test(text));
        const decoded = decode(z.unknown(), encode(value), LIMITS.requestBytes);
        expect(decoded).toEqual({ ok: true, value: JSON.parse(text) as unknown });
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, whatever bytes it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decode(getRequestSchema, bytes, 100);
        expect(typeof decoded.ok).toBe('boolean');
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(['', '{', 'hello', '{"v":1}x', "{'v':1}", '{"v":1,}', '\uFEFF{}', 'NaN'])(
    'refuses what is not JSON: %j',
    (body) => {
      expect(refusal(body)).toBe('the message is not JSON');
    },
  );

  it.each([
    ['a byte that is none', [0x22, 0xff, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['half of a pair of surrogates', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a sequence that is cut off', [0x22, 0xe2, 0x82]],
  ])('refuses invalid UTF-8: %s', (_what, bytes) => {
    expect(refusal(Uint8Array.from(bytes))).toBe('the message is not valid UTF-8');
  });

  it('refuses what is larger than the limit before it looks into it, and takes what is just as large', () => {
    const body = Buffer.from(`{${' '.repeat(LIMITS.requestBytes - 2)}}`);
    expect(decode(getRequestSchema, body, LIMITS.requestBytes).ok).toBe(true);
    expect(decode(getRequestSchema, body, LIMITS.requestBytes - 1)).toEqual({
      ok: false,
      error: 'the message has 65536 bytes; the limit is 65535',
    });
  });

  it('refuses what is nested too deep, and takes what is just as deep', () => {
    const decoded = (text: string): boolean => decode(z.unknown(), Buffer.from(text), LIMITS.requestBytes).ok;
    expect(decoded(nested(LIMITS.depth))).toBe(true);
    expect(decoded(nested(LIMITS.depth + 1))).toBe(false);
    expect(decoded(`{"a":${nested(LIMITS.depth)}}`)).toBe(false);
    expect(refusal(nested(30_000))).toBe('the message is nested deeper than 8 levels');
  });

  it('does not take brackets in a text for nesting, nor a quote that is escaped for its end', () => {
    const text = JSON.stringify({ reason: `${'[{'.repeat(50)}"${'[{'.repeat(50)}\\` });
    expect(decode(z.unknown(), Buffer.from(text), LIMITS.requestBytes).ok).toBe(true);
  });

  it.each([
    '{"__proto__":{"admin":true}}',
    '{"after":{"__proto__":1}}',
    '{"constructor":1}',
    '[{"a":[{"prototype":null}]}]',
    '{"\\u005f_proto__":1}',
  ])('refuses a name that reaches a prototype: %s', (body) => {
    expect(refusal(body)).toBe('the message has a field with a forbidden name');
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('takes such a name as a value', () => {
    expect(refusal({ audience: '__proto__' })).toBe('');
  });

  it('names fields that it does not know: a few, and none of them in full length', () => {
    expect(refusal({ scop: 'read' })).toBe('unknown field "scop"');
    expect(refusal({ after: { epoch: 1, vseq: 1, more: 1 } })).toBe('unknown field "more"');
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${String(i)}-${'x'.repeat(100)}`, i]));
    expect(refusal(many).length).toBeLessThan(300);
  });

  it.each([[2], ['1'], [0], [null]])('refuses the version %j', (v) => {
    expect(refusal({ v })).toBe('v: unsupported version; this broker speaks version 1');
  });

  it('repeats nothing of the message but the names of fields', () => {
    fc.assert(
      fc.property(fc.constantFrom('scope', 'audience', 'minTtlMs', 'after', 'v', 'caller', 'deadlineMs'), (field) => {
        expect(refusal({ [field]: 'canary\u00015f3c9a' })).not.toContain('canary');
      }),
    );
  });

  it('lets newer replies say more: what a client does not know is left out', () => {
    const schema = z.object({ v: z.literal(1) });
    expect(decode(schema, encode({ v: 1, tomorrow: true }), 100)).toEqual({ ok: true, value: { v: 1 } });
    expect(
      refusal(
        { v: 1, id: 'x', changes: [{ partition: 0, epoch: 1, vseq: 1, floor: 1, x: 1 }], y: 2 },
        invalidationSchema,
      ),
    ).toBe('');
  });
});

describe('a request for a token', () => {
  it.each([
    [{ scope: 'read write' }, ['read', 'write']],
    [{ scope: '  read   write ' }, ['read', 'write']],
    [{ scope: ['write', 'read'] }, ['write', 'read']],
  ])('takes scopes as a text or as a list: %o', (body, scope) => {
    expect(decode(getRequestSchema, encode(body), 1_000)).toEqual({ ok: true, value: { scope } });
  });

  it.each([
    ['a scope of 257 characters', { scope: ['x'.repeat(257)] }],
    ['a scope with a NUL', { scope: ['a\0b'] }],
    ['a scope with a newline', { scope: ['a\nb'] }],
    ['a scope with a space, in a list', { scope: ['a b'] }],
    ['a scope with a quote', { scope: ['a"b'] }],
    ['a scope with a backslash', { scope: 'a\\b' }],
    ['a scope beyond ASCII', { scope: 'é' }],
    ['no scope in a text', { scope: ' ' }],
    ['no scope in a list', { scope: [] }],
    ['an empty scope', { scope: [''] }],
    ['65 scopes', { scope: Array.from({ length: 65 }, (_, i) => `s${String(i)}`) }],
    ['a number', { scope: 5 }],
  ])('refuses %s as scope', (_what, body) => {
    expect(refusal(body)).toMatch(/^scope/);
  });

  it.each(['audience', 'resource'])('holds an %s to 256 printable characters', (field) => {
    expect(refusal({ [field]: 'x'.repeat(256) })).toBe('');
    for (const value of ['x'.repeat(257), '', 'a\0b', 'a\nb', 'a\u007f', 5, null])
      expect(refusal({ [field]: value })).toMatch(new RegExp(`^${field}: `));
  });

  it.each([
    ['subjectToken', ['', 'a b', 'a\n', 'x'.repeat(LIMITS.subjectTokenCharacters + 1), 'é']],
    ['minTtlMs', [-1, 1.5, '5', 1e300]],
    ['minGeneration', [-1, 1.5, '5', 2 ** 53]],
    ['deadlineMs', [LIMITS.deadlineMs + 1, 1.5, '5']],
    ['caller', ['', 'a.b', '*', 5]],
    ['after', [{}, { epoch: 1 }, { epoch: 1, vseq: -1 }, 5]],
  ])('refuses a wrong %s, and names it', (field, values) => {
    for (const value of values) expect(refusal({ [field]: value })).toMatch(new RegExp(`^${field}`));
  });

  it.each([
    ['get', getRequestSchema, {}],
    ['rejected', rejectedRequestSchema, { epoch: 1, generation: 1 }],
  ])('takes an actor beside a subject only: %s', (_verb, schema, body) => {
    expect(refusal({ ...body, subjectToken: 'x' }, schema)).toBe('');
    expect(refusal({ ...body, subjectToken: 'x', actorToken: 'y' }, schema)).toBe('');
    expect(refusal({ ...body, actorToken: 'y' }, schema)).toBe('actorToken: needs a subjectToken beside it');
  });

  it('holds an actor token to the rule of subject tokens, and both of them fit into one request', () => {
    for (const actorToken of ['', 'a b', 'a\n', 'x'.repeat(LIMITS.subjectTokenCharacters + 1), 'é'])
      expect(refusal({ subjectToken: 'x', actorToken })).toMatch(/^actorToken: /);
    const longest = 'x'.repeat(LIMITS.subjectTokenCharacters);
    expect(refusal({ subjectToken: longest, actorToken: longest })).toBe('');
  });

  it('takes a deadline that is past: it is answered as one', () => {
    expect(refusal({ deadlineMs: 0 })).toBe('');
    expect(refusal({ deadlineMs: -5 })).toBe('');
  });
});

describe('a report of a rejected token', () => {
  it.each([1.5, '7', -1, null, 2 ** 53, undefined])('refuses the generation %j: not an integer', (generation) => {
    expect(refusal({ epoch: 1, generation }, rejectedRequestSchema)).toMatch(/^generation: /);
  });

  it('takes the largest one that a double holds', () => {
    expect(refusal({ epoch: 1, generation: Number.MAX_SAFE_INTEGER }, rejectedRequestSchema)).toBe('');
  });
});

describe('an order to revoke', () => {
  const choice =
    ': must be one of {slot}, {source}, {provider}, {caller}, {subject}, {tokenSha256}, {issuedBeforeMs} or {all: true}';

  it.each([
    { slot: SLOT },
    { source: 'a' },
    { all: true },
    { provider: 'oauth2' },
    { caller: 'orders' },
    { tokenSha256: '0f'.repeat(32) },
    { tokenSha256: '0f'.repeat(32), source: 'a' },
    { subject: 'auth0|5f7c8ec7c33c6c004bbafe82' },
    { subject: 'Jane Doe', source: 'a' },
    { issuedBeforeMs: 1_793_523_600_000 },
    { issuedBeforeMs: 1, source: 'a' },
  ])('takes the selector %j', (selector) => {
    expect(refusal({ selector, reason: 'a test' }, revokeRequestSchema)).toBe('');
  });

  it.each([
    [{}, choice],
    [{ all: false }, choice],
    [{ source: 'a', all: true }, choice],
    [{ caller: 'orders', source: 'a' }, choice],
    [{ token: 'eyJ' }, choice],
    ['all', choice],
    [{ slot: 'short' }, '.slot: is not a slot'],
    [{ source: '*' }, '.source: must match [A-Za-z0-9_-]{1,64}'],
    [{ tokenSha256: '0F'.repeat(32) }, '.tokenSha256: is not a SHA-256 in 64 hexadecimal digits'],
  ])('refuses the selector %j', (selector, reason) => {
    expect(refusal({ selector }, revokeRequestSchema)).toBe(`selector${reason}`);
  });

  it('needs a selector', () => {
    expect(refusal({ wait: true }, revokeRequestSchema)).toMatch(/^selector: /);
  });

  it('needs a reason where it is no dry run', () => {
    const selector = { source: 'a' };
    expect(refusal({ selector }, revokeRequestSchema)).toBe('reason: is required: it is written to the audit trail');
    expect(refusal({ selector, dryRun: true }, revokeRequestSchema)).toBe('');
  });
});

describe('an order to put a refresh token there', () => {
  const order = { source: 'mailbox', refreshToken: '1//0gDx-4_kP2~r.a/b+c=' };

  it('names a source and a token', () => {
    expect(refusal(order, setRefreshTokenRequestSchema)).toBe('');
    expect(refusal({ ...order, source: '*' }, setRefreshTokenRequestSchema)).toMatch(/^source: /);
    expect(refusal({ ...order, more: 1 }, setRefreshTokenRequestSchema)).toBe('unknown field "more"');
  });

  it.each(['', 'canary\n', 'canary canary', 'canaré', 'canary'.repeat(LIMITS.subjectTokenCharacters), 5])(
    'refuses what is no token without repeating it',
    (refreshToken) => {
      const why = refusal({ ...order, refreshToken }, setRefreshTokenRequestSchema);
      expect(why).toMatch(/^refreshToken: |bytes; the limit/);
      expect(why).not.toContain('canar');
    },
  );
});

describe('a page of status', () => {
  const source = { name: 's', provider: 'oauth2', heldSlots: 0, idpCalls: 0, idpErrors: 0, callsSaved: 0 };
  const page = {
    v: 1,
    broker: 'b',
    version: '1',
    uptimeMs: 0,
    ready: true,
    nats: { connected: true },
    redis: { available: true, leaseAgeMs: null },
    brokers: [],
    partitions: [],
    nearCaches: [],
  };
  const budget = { limits: [], pausedMs: 0, breaker: 'closed', credentialPausedMs: 0, open: 0 };
  const refreshToken = { state: 'ready', sequence: 1, changedAtMs: 1 };

  it.each([
    ['an older broker, which tells no more', source, source],
    ['this one', { ...source, budget, refreshToken }, { ...source, budget, refreshToken }],
    ['a newer one', { ...source, budget: { ...budget, more: 1 }, more: 1 }, { ...source, budget }],
  ])('is read from %s', (_whose, sent, read) => {
    const decoded = decode(statusReplySchema, encode({ ...page, sources: [sent] }), LIMITS.replyBytes);
    expect(decoded).toEqual({ ok: true, value: { ...page, sources: [read] } });
  });
});

describe('a sync', () => {
  it('needs to know who asks', () => {
    expect(refusal({}, syncRequestSchema)).toMatch(/^instance: /);
    expect(refusal({ instance: 'a.b' }, syncRequestSchema)).toMatch(/^instance: /);
  });

  it('holds the list of slots to its limit', () => {
    const slots = new Array(LIMITS.slotsPerSync + 1).fill(['wTr3vL0pQk9Zx2Yb7Nn8aA', 1]);
    expect(refusal({ instance: 'i', holds: [{ source: 's', slots: [['no-slot', 1]] }] }, syncRequestSchema)).toMatch(
      /^holds/,
    );
    const decoded = decode(
      syncRequestSchema,
      encode({ instance: 'i', holds: [{ source: 's', slots }] }),
      LIMITS.replyBytes,
    );
    expect(decoded.ok).toBe(false);
  });
});

describe('a reply', () => {
  const reply = {
    v: 1,
    slot: 'wTr3vL0pQk9Zx2Yb7Nn8aA',
    partition: 0,
    epoch: 1,
    generation: 1,
    asOf: 0,
    expiresInMs: 1,
    lifeMs: 1,
    atMs: 1,
    heldMs: 0,
    verified: true,
    accessToken: 'x',
    tokenType: 'Bearer',
  };

  it('bears white space before its numbers, as the brokers write them', () => {
    const padded = JSON.stringify(reply).replace('"expiresInMs":1', `"expiresInMs":${' '.repeat(15)}1`);
    expect(decode(tokenReplySchema, Buffer.from(padded), LIMITS.replyBytes)).toEqual({ ok: true, value: reply });
  });

  it.each(Object.keys(reply))('is none without %s', (field) => {
    const { [field as keyof typeof reply]: _left, ...rest } = reply;
    expect(refusal(rest, tokenReplySchema)).toMatch(new RegExp(`^${field}: `));
  });

  it('takes a channel key of 32 bytes only', () => {
    const key = Buffer.alloc(32).toString('base64url');
    expect(refusal({ ...reply, channel: { version: 1, key } }, tokenReplySchema)).toBe('');
    for (const wrong of [key.slice(1), `${key}A`, `${key.slice(1)}+`, ''])
      expect(refusal({ ...reply, channel: { version: 1, key: wrong } }, tokenReplySchema)).toMatch(/^channel.key: /);
  });
});
