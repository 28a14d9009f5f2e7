import { traitsOf } from '@token-broker/configuration';
import { err, ok, Redacted } from '@token-broker/foundation';
import { VirtualClock } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, sourceOf } from '../fakes/fake-cluster.js';
import { CAPABILITIES } from '../fakes/fake-provider.js';
import { RecordedAudit, RecordedLog } from '../fakes/recorded-telemetry.js';
import type { Provider } from '../ports/provider.js';
import { Routes, type Route } from './routes.js';
import { Sources } from '../sources/sources.js';
import { SubjectCheck } from './subject-check.js';

type Read = Awaited<ReturnType<Provider['readSubject']>>;

let clock: VirtualClock;
let read: (token: string) => Read | Promise<Read>;
let reads: string[];
let sources: Sources;
let log: RecordedLog;
let audit: RecordedAudit;
let subjects: SubjectCheck;

/** The caller `orders` has the client ids `orders-web` and `orders-app`; `billing` has its own name alone. */
function replaceConfiguration(recipe: string): void {
  const grants = new Map([['exchange', { scopes: [], audiences: [] }]]);
  const provider: Provider = {
    capabilities: CAPABILITIES,
    fetch: () => Promise.reject(new Error('not asked for')),
    revoke: () => Promise.reject(new Error('not asked for')),
    readSubject: async (token) => {
      reads.push(token.reveal());
      return read(token.reveal());
    },
    close: () => Promise.resolve(),
  };
  const type = 'urn:ietf:params:oauth:token-type:access_token';
  const configuration = sourceOf({
    name: 'exchange',
    grant: { kind: 'token_exchange' },
    subjectToken: { type, actorType: type, check: { kind: 'introspection' }, ownerClaim: 'client_id' },
  });
  const traits = traitsOf(configuration);
  const source = { configuration, provider, traits, recipe, upstream: 'u', credential: 'c', quota: [] };
  sources.replace({
    sources: new Map([
      ['exchange', source],
      ['plain', { ...source, configuration: sourceOf({ name: 'plain' }) }],
    ]),
    callers: new Map([
      ...configurationOf().callers,
      ['orders', { name: 'orders', grants, admin: false, clientIds: ['orders-web', 'orders-app'] }],
      ['billing', { name: 'billing', grants, admin: false, clientIds: ['billing'] }],
    ]),
    fingerprint: '',
    policy: 0,
  });
}

function route(subjectToken: string, caller = 'orders', actorToken?: string): Route {
  const subject = {
    subjectToken: new Redacted(subjectToken),
    ...(actorToken === undefined ? {} : { actorToken: new Redacted(actorToken) }),
  };
  const resolved = new Routes(sources).resolve(caller, 'exchange', { subject });
  if ('code' in resolved) throw new Error(resolved.message);
  return resolved;
}

beforeEach(() => {
  clock = new VirtualClock();
  reads = [];
  read = (token) => ok({ owners: [token.startsWith('web') ? 'orders-web' : 'somebody'] });
  sources = new Sources(4);
  log = new RecordedLog();
  audit = new RecordedAudit();
  replaceConfiguration('recipe-1');
  subjects = new SubjectCheck({ clock, sources, log, audit });
});

it('takes a token that was issued to one of the client ids of the caller, and looks at it once', async () => {
  expect(await subjects.check(route('web-1'))).toEqual([]);
  expect(await subjects.check(route('web-1'))).toEqual([]);
  expect(reads).toEqual(['web-1']);
});

it('refuses a token that was issued to somebody else, or to nobody, and says so in the audit', async () => {
  expect(await subjects.check(route('stolen'))).toMatchObject({ code: 'FORBIDDEN' });
  read = () => ok({ owners: [] });
  expect(await subjects.check(route('nobody-s'))).toMatchObject({ code: 'FORBIDDEN' });
  expect(audit.entries).toEqual([
    expect.objectContaining({ event: 'subject-token.refused', by: 'orders', source: 'exchange', result: 'refused' }),
    expect.objectContaining({ event: 'subject-token.refused', by: 'orders' }),
  ]);
  expect(JSON.stringify([log.lines, audit.entries])).not.toMatch(/stolen|nobody-s/);
});

it('refuses the token of one caller from another, also where the first has used it already', async () => {
  expect(await subjects.check(route('web-1'))).toEqual([]);
  expect(await subjects.check(route('web-1', 'billing'))).toMatchObject({ code: 'FORBIDDEN' });
});

it('refuses a token that is not good, without asking again for a while', async () => {
  read = () => ok(undefined);
  expect(await subjects.check(route('web-1'))).toMatchObject({ code: 'FORBIDDEN' });
  expect(await subjects.check(route('web-1'))).toMatchObject({ code: 'FORBIDDEN' });
  expect(reads).toHaveLength(1);
  await clock.advance(5_000);
  await subjects.check(route('web-1'));
  expect(reads).toHaveLength(2);
});

it('looks at both tokens: the actor’s must be the caller’s too', async () => {
  expect(await subjects.check(route('web-1', 'orders', 'web-2'))).toEqual([]);
  expect(await subjects.check(route('web-1', 'orders', 'stolen'))).toMatchObject({ code: 'FORBIDDEN' });
});

it('names the token that is refused by what it was given as, whatever it was given as before', async () => {
  const refusals = [route('stolen'), route('web-1', 'orders', 'stolen')].map((asked) => subjects.check(asked));
  expect(await Promise.all(refusals)).toMatchObject([
    { message: 'the subject token was not issued to this caller' },
    { message: 'the actor token was not issued to this caller' },
  ]);
});

describe('how long it believes a token', () => {
  it('is a minute, so that one which its issuer took back is found out', async () => {
    await subjects.check(route('web-1'));
    await clock.advance(59_999);
    await subjects.check(route('web-1'));
    expect(reads).toHaveLength(1);
    read = () => ok(undefined);
    await clock.advance(1);
    expect(await subjects.check(route('web-1'))).toMatchObject({ code: 'FORBIDDEN' });
  });

  it('is no longer than the token lives', async () => {
    read = () => ok({ owners: ['orders-app'], remainingMs: 2_000 });
    await subjects.check(route('web-1'));
    await clock.advance(2_000);
    await subjects.check(route('web-1'));
    expect(reads).toHaveLength(2);
  });

  it('is not at all where the token is over', async () => {
    read = () => ok({ owners: ['orders-app'], remainingMs: 0 });
    expect(await subjects.check(route('web-1'))).toMatchObject({ code: 'FORBIDDEN' });
  });

  it('ends with the configuration that it was judged by', async () => {
    await subjects.check(route('web-1'));
    replaceConfiguration('recipe-2');
    await subjects.check(route('web-1'));
    expect(reads).toHaveLength(2);
  });
});

it('fails the request, and nothing else, when the identity provider cannot be asked', async () => {
  read = () => err({ code: 'IDP_UNAVAILABLE', message: 'away', detail: '', retryAfterMs: 100 });
  expect(await subjects.check(route('web-1'))).toEqual({ code: 'IDP_UNAVAILABLE', message: 'away', retryAfterMs: 100 });
  read = () => ok({ owners: ['orders-web'] });
  await clock.advance(100);
  expect(await subjects.check(route('web-1'))).toEqual([]);
});

it.each([
  ['a second', undefined, 1_000],
  ['as long as the identity provider says', 300, 300],
  ['five seconds at most, whatever that says', 3_600_000, 5_000],
])('asks an identity provider that failed again after %s', async (_, retryAfterMs, pauseMs) => {
  const said = {
    code: 'IDP_UNAVAILABLE' as const,
    message: 'away',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  read = () => err({ ...said, detail: '' });
  for (const passedMs of [0, 0, pauseMs - 1]) {
    await clock.advance(passedMs);
    expect(await subjects.check(route('web-1'))).toEqual(said);
  }
  expect(reads).toHaveLength(1);
  await clock.advance(1);
  await subjects.check(route('web-1'));
  expect(reads).toHaveLength(2);
});

it('asks once for callers that come at the same moment', async () => {
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => subjects.check(route('web-1'))));
  expect(outcomes).toEqual(Array.from({ length: 50 }, () => []));
  expect(reads).toHaveLength(1);
});

describe('what a source takes', () => {
  it('is a subject token where it needs one, and none where it does not', () => {
    const routes = new Routes(sources);
    expect(routes.resolve('orders', 'exchange', {})).toMatchObject({
      code: 'BAD_REQUEST',
      message: 'the source "exchange" needs a subject token',
    });
    expect(routes.resolve('ops', 'plain', { subject: { subjectToken: new Redacted('x') } })).toMatchObject({
      code: 'BAD_REQUEST',
      message: 'the source "plain" takes no subject token',
    });
  });

  it('makes a slot of its own of each subject, and of each actor for it', () => {
    const slots = [route('web-1'), route('web-2'), route('web-1', 'orders', 'web-2')].map(
      ({ address }) => address.slot,
    );
    expect(new Set(slots).size).toBe(3);
  });
});

it('tells whom the tokens name, also from memory: once where both name the same', async () => {
  read = (token) => ok({ owners: ['orders-web'], ...(token.includes(':') ? { name: token.split(':')[1] ?? '' } : {}) });
  for (let i = 0; i < 2; i++) {
    expect(await subjects.check(route('t:jane', 'orders', 't:agent'))).toEqual(['jane', 'agent']);
    expect(await subjects.check(route('t:jane', 'orders', 'u:jane'))).toEqual(['jane']);
    expect(await subjects.check(route('nameless'))).toEqual([]);
  }
  expect(reads).toHaveLength(4);
});
