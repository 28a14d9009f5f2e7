import { readFile, writeFile } from 'node:fs/promises';
import { eventually } from '@token-broker/testing';
import { slotOf } from '@token-broker/protocol';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRawCaller, subjects, type RawCaller } from '../../integration/raw-caller.js';
import {
  CLIENT_SECRET,
  PASSWORD,
  sourceSettings,
  startStack,
  type Settings,
  type Stack,
} from '../../integration/stack.js';
import { isRefusal, isReply, leaks, startCanaries, type Canaries } from './canaries.js';

const SOURCE = 'payments-api';
/** A caller that gives tokens as names: of sources, scopes, fields. */
const NAMER = 'namer';
/** A source and client for each reply that echoes, so that nobody waits for the pause after another's refusal. */
const REFUSED = Array.from({ length: 6 }, (_, index) => `refused-${String(index)}`);
const get = subjects.get('ops', SOURCE);

/** Every token that the identity provider has given out. */
const tokens: string[] = [];
/** What the test itself has sent that holds a token, as `subject body`. */
const sentByTest = new Set<string>();

let stack: Stack;
let seen: Canaries;
let ops: RawCaller;
let namer: RawCaller;

beforeAll(async () => {
  stack = await startStack({
    brokers: 2,
    tokenTransform: (accessToken) => {
      tokens.push(`canary-${accessToken}`);
      return `canary-${accessToken}`;
    },
    configure: (settings, idp) => ({
      ...settings,
      log: { level: 'debug' },
      redis: { ...(settings['redis'] as Settings), commandTimeout: '300ms' },
      sources: {
        [SOURCE]: sourceSettings(idp, { timeout: '500ms' }),
        ...Object.fromEntries(REFUSED.map((name) => [name, sourceSettings(idp, { clientId: name })])),
        hanging: sourceSettings(idp, { clientId: 'hanging', timeout: '300ms' }),
        storeless: sourceSettings(idp, { timeout: '500ms' }),
      },
      callers: { ops: { sources: ['*'], admin: true }, [NAMER]: { sources: ['*'], admin: true } },
    }),
  });
  seen = await startCanaries(stack);
  ops = createRawCaller(await stack.connectAs('ops'), 'ops');
  namer = createRawCaller(await stack.connectAs(NAMER), NAMER);
  for (const [moment, fault] of FAULTS) {
    await fault();

    await seen.capture(moment);
  }
}, 120_000);
afterAll(async () => {
  seen.stop();
  await stack.stop();
});

async function aToken(): Promise<string> {
  return eventually(async () => (await ops.token(get)).accessToken, { what: 'a token', withinMs: 15_000 });
}

/** Each of them sends both canaries through one kind of fault, and leaves everything healthy. */
const FAULTS: readonly (readonly [string, () => Promise<void>])[] = [
  [
    'the provider echoes what it was sent and what it gave',
    async () => {
      const token = await aToken();
      const basicOf = (clientId: string): string => Buffer.from(`${clientId}:${CLIENT_SECRET}`).toString('base64');
      const said = `${CLIENT_SECRET} ${token} ${REFUSED.map(basicOf).join(' ')}`;
      const replies = [
        [400, JSON.stringify({ error: token, error_description: said })],
        [401, JSON.stringify({ error: 'invalid_client', error_description: said, error_uri: said })],
        [429, said],
        [500, `<html>${said}</html>`],
        [200, JSON.stringify({ access_token: `${token}\n`, token_type: said, expires_in: said, scope: said })],
        [200, JSON.stringify({ access_token: token, token_type: CLIENT_SECRET })],
      ] as const;
      const before = stack.idpCalls();
      for (const [index, [status, body]] of replies.entries()) {
        stack.idp.failNext(1, { status, headers: { 'x-said': said }, body });
        const refusal = ops.refusal(subjects.get('ops', REFUSED[index] ?? ''));
        await seen.outcome(`refused with ${String(status)}`, refusal);
      }
      expect(stack.idpCalls(), 'calls that were answered with an echo').toBe(before + replies.length);
      stack.idp.setHanging(true);
      await seen.outcome('hanging', ops.ask(subjects.get('ops', 'hanging')));
      stack.idp.setHanging(false);
    },
  ],
  ['requests that hold a token', malformedRequests],
  [
    'revoked, rejected, reloaded and synchronised',
    async () => {
      const client = await stack.client('ops');
      const operator = await stack.operator();
      const handle = client.source(SOURCE);
      seen.note('rejected', await handle.reportRejected(await handle.get()));
      await handle.get();
      seen.note('revoked', await operator.revoke({ selector: { slot: handle.slot }, wait: true, reason: 'a drill' }));
      await handle.get();
      const good = await readFile(stack.configurationPath, 'utf8');
      for (const bad of [good.replace(/^sources:/m, 'sourcez:'), good.replaceAll('clientSecret:', 'clientSecrets:')]) {
        await writeFile(stack.configurationPath, bad);
        seen.note('a reload that is refused', await operator.reload());
      }
      await writeFile(stack.configurationPath, good);
      seen.note('a reload', await operator.reload());
      seen.note('statistics', [client.stats(), await operator.status(), await operator.list()]);
    },
  ],
  [
    'a record that is corrupt, and a replica that starts anew',
    async () => {
      await aToken();
      const redis = new Redis({ host: stack.redis.host, port: stack.redis.port });
      const [key = ''] = await redis.keys(`*:record:${slotOf(SOURCE)}`);
      const sealed = (await redis.hgetBuffer(key, 'sealed')) ?? Buffer.alloc(0);
      for (const spoilt of [flipped(sealed), sealed.subarray(0, 40)]) {
        await redis.hset(key, 'sealed', spoilt);
        await stack.brokers.shift()?.stop(1_000);
        await stack.addBroker();
        for (let i = 0; i < 8; i++) await aToken();
      }
      redis.disconnect();
    },
  ],
  [
    'Redis is down',
    async () => {
      const client = await stack.client('ops');
      const { epoch } = await client.source(SOURCE).get();
      await stack.redis.kill('SIGKILL');
      const operator = await stack.operator();
      await seen.outcome('without Redis: a revocation', operator.revoke({ selector: { all: true }, reason: 'a test' }));
      await seen.outcome(
        'without Redis: a report',
        client.source(SOURCE).reportRejected(await client.source(SOURCE).get()),
      );
      await seen.outcome('without Redis: a cold get', ops.refusal(subjects.get('ops', 'storeless')));
      await stack.redis.restart({ keepData: false });
      await eventually(async () => (await ops.token(get)).epoch > epoch, {
        what: 'a token that is stored again',
        withinMs: 15_000,
      });
    },
  ],
  [
    'NATS is cut',
    async () => {
      const client = await stack.client('ops');
      await client.source(SOURCE).get();
      await stack.nats.kill('SIGKILL');
      await seen.outcome('without NATS: a get', client.source('storeless').get({ timeoutMs: 300 }));
      await stack.nats.restart();
      await eventually(() => client.source('storeless').get(), { what: 'a token', withinMs: 15_000, everyMs: 100 });
      seen.note('statistics', client.stats());
    },
  ],
];

function flipped(bytes: Buffer): Buffer {
  const spoilt = Buffer.from(bytes);
  spoilt[bytes.length - 1] = (spoilt[bytes.length - 1] ?? 0) ^ 1;
  return spoilt;
}

/** A token, or the secret, wherever a request has room for it. */
async function malformedRequests(): Promise<void> {
  const token = await aToken();
  const slot = slotOf(SOURCE);
  const values = (canary: string): object[] => [
    { caller: canary },
    { subjectToken: canary },
    { minGeneration: canary },
    { after: { epoch: canary, vseq: 1 } },
    { scope: { x: canary } },
    { audience: `${canary}\n` },
    { generation: canary, epoch: 1 },
    { selector: { slot: canary }, reason: 'a test' },
    { selector: { source: canary }, wait: canary, reason: 'a test' },
    { selector: canary, reason: 'a test' },
    { instance: `${canary}.`, holds: [] },
    { instance: 'x', known: canary, holds: [{ source: canary, slots: [[slot, 1]] }] },
    { instance: 'x', holds: [{ source: SOURCE, slots: [[canary, 1]] }] },
  ];
  const names = (canary: string): object[] => [{ scope: canary }, { scope: [canary] }, { [canary]: 1 }];
  const doors = (caller: string): string[] => [
    subjects.get(caller, SOURCE),
    subjects.rejected(caller, SOURCE),
    subjects.sync(caller),
    ...['revoke', 'list', 'status', 'describe', 'refresh', 'reload'].map((verb) => subjects.admin(caller, verb)),
  ];
  for (const canary of [token, CLIENT_SECRET]) {
    const bodies = [canary, `{"scope":"${canary}`, ...values(canary).map((body) => JSON.stringify(body))];
    for (const door of doors('ops'))
      for (const body of bodies) await seen.outcome('a malformed request', send(ops, door, body));
    // What is given as a name is named in the refusal, to the one who sent it, and nowhere else.
    for (const door of [...doors(NAMER), subjects.get(NAMER, token), subjects.rejected(NAMER, token)])
      for (const body of names(canary)) await send(namer, door, JSON.stringify(body));
    await send(namer, subjects.admin(NAMER, token), '');
  }
}

async function send(caller: RawCaller, door: string, body: string): Promise<string> {
  sentByTest.add(`${door} ${body}`);
  return Buffer.from(await caller.ask(door, body)).toString();
}

/** Of no use to anybody but the brokers. */
const SECRETS = [CLIENT_SECRET, PASSWORD];
const isToNamer = ({ where }: { readonly where: string }): boolean => where.startsWith(`_INBOX.${NAMER}.`);
const canaries = (): string[] => [...SECRETS, ...tokens];

describe('the faults', () => {
  it('have left their traces in the log, in Redis, in the pages and on NATS', () => {
    const log = stack.logLines.join('');
    for (const trace of [
      '<redacted>',
      'idp: no token',
      'configuration: refused',
      'a record cannot be opened',
      'could not use Redis',
      '"revocation.ordered"',
    ])
      expect(log).toContain(trace);
    for (const [moment] of FAULTS) {
      expect(
        seen.dumps.some(({ where }) => where.startsWith(moment) && where.includes(':record:')),
        moment,
      ).toBe(true);
      expect(seen.pages.some(({ where }) => where === `${moment}: /metrics`)).toBe(true);
    }
    const kinds = new Set(seen.messages.map(({ where }) => where.split('.').slice(0, 3).join('.')));
    for (const kind of ['event', 'invalidation', 'heartbeat', 'flight', 'peer', 'sync', 'ack'])
      expect([...kinds]).toContain(`token-broker.v1.${kind}`);
    expect(seen.answers.length).toBeGreaterThan(200);
    expect(seen.messages.filter(isRefusal).length).toBeGreaterThan(sentByTest.size / 2);
  });

  it('have sent canaries, which the search finds where they belong', () => {
    expect(tokens.length).toBeGreaterThan(5);
    expect(leaks(seen.messages.filter(isReply), tokens).length).toBeGreaterThan(5);
    expect(leaks([{ where: `a place named ${tokens[0] ?? ''}`, bytes: Buffer.alloc(0) }], tokens)).toEqual([
      'in a name',
    ]);
  });
});

describe('S4: after every fault, no token and no secret is', () => {
  it('S4: in a line of the log, at the level debug', () => {
    const lines = stack.logLines.map((line) => ({ where: `the log: ${line.slice(0, 120)}`, bytes: Buffer.from(line) }));
    expect(leaks(lines, canaries())).toEqual([]);
  });

  it('S4: in a refusal, an error, or what operators are answered', () => {
    expect(leaks(seen.answers, canaries())).toEqual([]);
    const refusals = seen.messages.filter(isReply).filter(isRefusal);
    expect(leaks(refusals.filter(isToNamer), SECRETS.slice(1))).toEqual([]);
    expect(
      leaks(
        refusals.filter((message) => !isToNamer(message)),
        canaries(),
      ),
    ).toEqual([]);
  });

  it('S4: in the metrics or any other page', () => {
    expect(leaks(seen.pages, canaries())).toEqual([]);
  });

  it('S4: in Redis, in no value and no name', () => {
    expect(leaks(seen.dumps, canaries())).toEqual([]);
  });

  it('S4: on NATS, but for tokens in replies to those who asked', () => {
    const replies = seen.messages.filter(isReply).filter((message) => !isToNamer(message));
    expect(leaks(replies, SECRETS)).toEqual([]);
    const others = seen.messages
      .filter((message) => !isReply(message))
      .filter(({ where, bytes }) => !sentByTest.has(`${where} ${Buffer.from(bytes).toString()}`));
    expect(others.length).toBeGreaterThan(50);
    expect(leaks(others, canaries())).toEqual([]);
  });
});
