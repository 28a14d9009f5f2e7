import { rm, symlink, writeFile } from 'node:fs/promises';
import { decode, encode, LIMITS, syncReplySchema, type SyncReply, type SyncRequest } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { Redis } from 'ioredis';
import { ask } from '../../integration/asking.js';
import type { Stack } from '../../integration/stack.js';
import type { Deployment } from './deployment.js';

/** Something that happens, and every panel and rule that has an answer from then on, and none before. */
export interface Cause {
  readonly what: string;
  readonly happens: (deployment: Deployment) => Promise<unknown>;
  /** Names of targets. Those of the dashboard of one source are followed by the source: `source: Quota @metered`. */
  readonly shows: readonly string[];
  /** Ends it, after everything was seen. */
  readonly ends?: (deployment: Deployment) => Promise<unknown>;
  /** Whether it began with one before, and may be seen at any time. */
  readonly hasBegun?: true;
  /** How long it takes to be seen. Default 8 s. */
  readonly seenWithinMs?: number;
}

async function synchronise({ billing }: Deployment, body: Omit<SyncRequest, 'v'>): Promise<SyncReply> {
  const { data } = await billing.request('token-broker.v1.sync.billing', encode({ v: 1, ...body }), { timeout: 5_000 });
  const reply = decode(syncReplySchema, data, LIMITS.replyBytes);
  if (!reply.ok) throw new Error(reply.error);
  return reply.value;
}

/** The key of those that are connected. */
const NEAR_CACHES = '*near-caches*';

const times = (count: number, act: (index: number) => Promise<unknown>): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)));

async function trafficBegins(deployment: Deployment): Promise<void> {
  const { governed, billing } = deployment;
  deployment.startTraffic();
  await governed.ask('late');
  const { slot, generation } = await ask(billing, 'billing', 'calm');
  const holds = [{ source: 'calm', slots: [[slot, generation] as [string, number]] }];
  await synchronise(deployment, { instance: 'reporting', holds });
}

async function missesAnInvalidation(deployment: Deployment): Promise<void> {
  const { epochs, vseqs } = await synchronise(deployment, { instance: 'forgetful' });
  await deployment.operator.revoke({ selector: { source: 'calm' }, reason: 'a test' });
  await synchronise(deployment, { instance: 'forgetful', known: { epochs, vseqs } });
  await synchronise(deployment, { instance: 'forgetful', leaving: true });
}

async function isRevokedInTheAir({ governed, operator }: Deployment): Promise<void> {
  const before = governed.idp.of('airborne').length;
  const flying = governed.ask('airborne');
  await eventually(() => governed.idp.of('airborne').length > before, { what: 'the call to be under way' });
  await operator.revoke({ selector: { source: 'airborne' }, reason: 'a test' });
  await flying;
}

async function losesItsLock({ governed }: Deployment): Promise<void> {
  const asked = governed.ask('locked');
  await eventually(() => governed.idp.of('locked').length > 0, { what: 'the call to be under way' });
  await withRedis(governed.stack, async (redis) => redis.del(...(await redis.keys('*lock*'))));
  await asked;
}

async function withRedis(stack: Stack, act: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(stack.redis.url);
  try {
    await act(redis);
  } finally {
    redis.disconnect();
  }
}

const on = (dashboard: string, titles: readonly string[]): string[] => titles.map((title) => `${dashboard}: ${title}`);
/** Of the dashboard of one source, with that source chosen. */
const onSource = (source: string, titles: readonly string[]): string[] =>
  titles.map((title) => `source: ${title} @${source}`);

/** In this order: each goes on from what those before have left. */
export const CAUSES: readonly Cause[] = [
  {
    what: 'traffic',
    happens: trafficBegins,
    seenWithinMs: 15_000,
    shows: [
      ...on('overview', [
        ...['Brokers', 'Requests', 'Slowest of 100 answers', 'Calls', 'Calls saved', 'Near caches', 'Versions'],
        ...['Where answers come from', 'Time to answer', 'Who asks', 'Answers without a call', 'Calls by source'],
        ...['Time of a call', 'Age of the last heartbeat', 'Age of the oldest lease', 'Memory of tokens'],
        'Brokers that know of each other',
      ]),
      ...on('quota', [
        ...['Used of the limit', 'Used and limit', 'Remaining', 'Reserve', 'Upstreams', 'Calls by reason'],
        ...['Who causes calls', 'Calls saved', 'Calls under way', 'Near caches that use it', 'Slots in demand'],
      ]),
      ...on('revocation', [
        'Receipts',
        'Invalidations applied',
        'Synchronisations',
        'Age of news',
        'Time spent suspect',
        'Invalidations heard',
      ]),
      ...onSource('calm', [
        ...['Where answers come from', 'Who asks', 'Remaining life', 'Slots', 'Near caches that use it'],
        ...['Remaining life at use', 'Calls by reason', 'Time of a call', 'Answers without a call', 'Who causes calls'],
      ]),
      ...onSource('renewed', ['Delay of renewals']),
      ...onSource('metered', ['Quota']),
      'job_layer:token_broker_requests:rate5m',
      'job:token_broker_request_duration_seconds:p99_rate5m',
      'job_source:token_broker_idp_calls:rate5m',
      'job_source:token_broker_idp_calls_saved:ratio5m',
      'job_source_outcome:token_broker_idp_calls:increase5m',
      'job_source_window:token_broker_quota_used:ratio',
    ],
  },
  {
    what: 'a quota that is used up',
    happens: ({ governed }) => times(4, (slot) => governed.ask('metered', String(slot))),
    shows: [
      ...on('overview', ['Alerts', 'Requests that got no token']),
      ...on('quota', ['Time until nothing remains', 'Calls that were not made', 'Requests told QUOTA_EXHAUSTED']),
      ...onSource('metered', ['Calls that were not made', 'Requests that got no token']),
      'alert TokenBrokerQuotaWillRunOut',
    ],
  },
  {
    what: 'a provider that asks for a pause',
    happens: ({ governed }) => governed.ask('throttled'),
    shows: [
      ...on('overview', ['Calls that failed']),
      ...on('quota', ['429s', 'Pause']),
      ...onSource('throttled', ['Pause', 'Calls that failed']),
    ],
  },
  {
    what: 'a provider that fails',
    // Five failures open the breaker.
    happens: ({ governed }) => times(5, (slot) => governed.ask('failing', String(slot))),
    shows: [
      ...on('quota', ['Breakers that are not closed']),
      ...onSource('failing', ['Share of calls that failed']),
      'alert TokenBrokerIdpFailing',
      'job_source:token_broker_idp_failures:ratio5m',
    ],
  },
  {
    what: 'a client that is refused',
    happens: ({ governed }) => governed.ask('dead'),
    shows: [
      ...on('quota', ['Pause of a refused client']),
      ...onSource('dead', ['Pause of a refused client']),
      'alert TokenBrokerCredentialDead',
    ],
  },
  {
    what: 'a source without a refresh token',
    happens: ({ governed }) => governed.ask('unseeded'),
    shows: ['alert TokenBrokerReauthRequired'],
  },
  {
    what: 'renewals that fail until a token is near its end',
    happens: ({ governed }) => governed.ask('fading'),
    shows: ['alert TokenBrokerTokenNearMinimumLifetime'],
  },
  {
    what: 'a revocation that is confirmed',
    happens: async (deployment) => {
      // It would never confirm.
      await synchronise(deployment, { instance: 'reporting', leaving: true });
      await deployment.operator.revoke({
        selector: { source: 'calm' },
        reason: 'a test',
        wait: true,
        timeoutMs: 5_000,
      });
    },
    shows: [
      ...on('revocation', ['Revocations', 'Time of a revocation', 'Propagation', 'Propagation, last hour']),
      'job_by:token_broker_revocation_propagation_seconds:p99_increase1h',
    ],
  },
  {
    what: 'a near cache that never confirms',
    happens: async (deployment) => {
      await synchronise(deployment, { instance: 'ghost' });
      await deployment.operator.revoke({ selector: { source: 'calm' }, reason: 'a test', wait: true, timeoutMs: 300 });
      await synchronise(deployment, { instance: 'ghost', leaving: true });
    },
    shows: [...on('revocation', ['Stragglers']), 'alert TokenBrokerRevocationNotConfirmed'],
  },
  {
    what: 'a near cache that has missed an invalidation',
    happens: missesAnInvalidation,
    shows: on('revocation', ['Invalidations that near caches had missed']),
  },
  {
    what: 'a revocation that overtakes a fetch',
    happens: isRevokedInTheAir,
    shows: [
      ...on('overview', ['Fetched tokens that were discarded']),
      ...on('revocation', ['Fetches that a revocation has overtaken']),
    ],
  },
  {
    what: 'a provider that returns what was revoked',
    happens: async ({ governed, operator }) => {
      await governed.ask('repeating');
      await operator.revoke({ selector: { source: 'repeating' }, reason: 'a test' });
      await governed.ask('repeating');
    },
    shows: ['alert TokenBrokerFenceRefusals'],
  },
  {
    what: 'a token that a service reports as rejected',
    happens: async ({ billing }) => {
      const { epoch, generation } = await ask(billing, 'billing', 'calm');
      await billing.request('token-broker.v1.rejected.billing.calm', encode({ epoch, generation }));
    },
    shows: [...on('revocation', ['Rejected tokens']), ...onSource('calm', ['Rejected tokens'])],
  },
  {
    what: 'a lock that is lost',
    happens: losesItsLock,
    shows: onSource('locked', ['Locks that were lost']),
  },
  {
    what: 'a request without a reply subject',
    happens: async ({ billing }) => {
      billing.publish('token-broker.v1.get.billing.calm');
      await billing.flush();
    },
    shows: on('overview', ['Requests that were dropped']),
  },
  {
    what: 'somebody at the HTTP door without credentials',
    happens: ({ governed: { stack } }) => {
      const { host = '', port = 0 } = stack.brokers[0]?.admin ?? {};
      return fetch(`http://${host}:${String(port)}/v1/admin/status`, { method: 'POST' });
    },
    shows: on('revocation', ['Requests refused at the HTTP door']),
  },
  {
    what: 'a disk that is full, and a revocation then',
    happens: async ({ auditPath, operator }) => {
      await rm(auditPath);
      await symlink('/dev/full', auditPath);
      await operator.revoke({ selector: { source: 'calm' }, reason: 'a test' });
    },
    shows: [...on('revocation', ['Audit records that were not written in time']), 'alert TokenBrokerAuditBehind'],
    ends: ({ auditPath }) => rm(auditPath),
  },
  {
    what: 'a renewal that is late',
    // It is the first one of `late`, which the traffic has asked for.
    happens: () => Promise.resolve(),
    hasBegun: true,
    seenWithinMs: 20_000,
    shows: ['alert TokenBrokerRefreshBehind'],
  },
  {
    what: 'NATS that is away',
    happens: ({ governed }) => governed.stack.nats.kill('SIGKILL'),
    seenWithinMs: 15_000,
    shows: [
      ...on('overview', ['NATS is away', 'Events that were lost', 'Near caches that are suspect']),
      ...on('revocation', ['Events that were lost', 'Suspect near caches']),
      'alert TokenBrokerHeartbeatMissing',
      'alert TokenBrokerSuspectClients',
    ],
    ends: ({ governed }) => governed.stack.nats.restart(),
  },
  {
    what: 'Redis that holds what nobody has written there, and a revocation then',
    happens: async ({ governed, operator }) => {
      await withRedis(governed.stack, async (redis) => {
        for (const key of await redis.keys(NEAR_CACHES)) await redis.del(key).then(() => redis.set(key, 'not a set'));
      });
      await operator.revoke({ selector: { source: 'calm' }, reason: 'a test' }).catch(() => undefined);
    },
    shows: [
      ...on('overview', ['Redis commands that failed']),
      ...on('revocation', ['Revocations that are not complete']),
    ],
    ends: ({ governed }) => withRedis(governed.stack, async (redis) => redis.del(...(await redis.keys(NEAR_CACHES)))),
  },
  {
    what: 'Redis that does not answer',
    happens: ({ governed }) => governed.stack.redis.kill('SIGSTOP'),
    shows: [...on('overview', ['Redis does not answer']), 'alert TokenBrokerStoreDown'],
    ends: ({ governed }) => governed.stack.redis.kill('SIGCONT'),
  },
  {
    what: 'a configuration with a problem',
    happens: async ({ governed: { stack } }) => {
      await writeFile(stack.configurationPath, 'sources: [', { mode: 0o600 });
      await stack.brokers[0]?.reload();
    },
    shows: on('overview', ['Reloads that were refused']),
  },
  {
    what: 'brokers that are gone',
    happens: ({ governed }) => Promise.all(governed.stack.brokers.map((broker) => broker.stop(1_000))),
    shows: ['alert TokenBrokerAbsent'],
  },
];
