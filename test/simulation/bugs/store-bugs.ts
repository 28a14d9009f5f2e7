import { FakePartition, FakeRedis, PartitionView, StoreError, type Store } from '@token-broker/broker/simulation';
import type { Bug } from './bug.js';
import { patched } from './patched.js';

/** A store like another, but for some of its commands. */
function like(store: Store, change: Partial<Store>): Store {
  return { ...store, ...change };
}

/** Rules that brokers keep with their store. */
export const STORE_BUGS: readonly Bug[] = [
  {
    name: 'skip-the-reread',
    breaks: ['G1'],
    what: 'Who has won the lock calls at once, without another look for what the one before has fetched.',
    store: (store) =>
      like(store, { reserve: (request) => store.reserve({ ...request, wantGreaterThan: Number.MAX_SAFE_INTEGER }) }),
  },
  {
    name: 'renew-what-is-renewed',
    breaks: ['availability', 'convergence'],
    what: 'Refresh-ahead asks for any token, and takes the one that it was to renew.',
    store: (store) => like(store, { reserve: (request) => store.reserve({ ...request, wantGreaterThan: 0 }) }),
  },
  {
    name: 'revoke-without-acks',
    breaks: ['G2'],
    what: 'A revocation returns as soon as Redis has it, and waits for no broker.',
    store: (store) => like(store, { revoke: async (...args) => ({ ...(await store.revoke(...args)), brokers: [] }) }),
  },
  {
    name: 'revoke-in-a-young-epoch',
    breaks: ['G2'],
    what: 'A revocation in a new epoch does not wait until the leases of the epoch before have run out.',
    store: (store) =>
      like(store, { revoke: async (...args) => ({ ...(await store.revoke(...args)), epochBeganMs: 0 }) }),
  },
  {
    name: 'no-confirmation',
    breaks: ['G7'],
    what: 'A revocation is not looked at again before it is reported: a failover may have lost it.',
    store: (store) => like(store, { confirm: () => Promise.resolve(true) }),
  },
  {
    name: 'ack-without-redis',
    breaks: ['G2', 'G7'],
    what: 'A revocation that Redis did not take is reported as made.',
    store: (store, clock) =>
      like(store, {
        revoke: async (target, partition, id, policy, upTo) => {
          try {
            return await store.revoke(target, partition, id, policy, upTo);
          } catch (error) {
            if (!(error instanceof StoreError)) throw error;
            const asOf = { epoch: 0, vseq: 0, redisMs: clock.wallMs(), sentAtMs: clock.elapsedMs() };
            return { asOf, partition, floor: 0, replaced: 0, vseq: 0, epochBeganMs: 0, brokers: [], replicas: 1 };
          }
        },
        confirm: (...args) => store.confirm(...args).catch(() => true),
        list: (...args) => store.list(...args).catch(() => ({ slots: [], truncated: false })),
        presences: () => store.presences().catch(() => []),
      }),
  },
  {
    name: 'durable-by-another-connection',
    breaks: ['G7'],
    what: 'WAIT is sent over another connection than the write, and so speaks of no write at all.',
    store: (store) => like(store, { revoke: async (...args) => ({ ...(await store.revoke(...args)), replicas: 1 }) }),
  },
  {
    name: 'lease-never-lapses',
    breaks: ['G2'],
    what: 'A broker answers from memory however long it has not read along.',
    patch: () =>
      patched(PartitionView.prototype, () => ({
        hasLease(this: PartitionView) {
          return this.leasedAtMs !== undefined;
        },
      })),
  },
  {
    name: 'lease-from-the-reply',
    breaks: ['G2'],
    what: 'The age of a lease is counted from the reply, not from when it was asked for.',
    store: (store, clock) =>
      like(store, {
        lease: async (...args) => {
          const replies = await store.lease(...args);
          return replies.map((reply) => ({ ...reply, asOf: { ...reply.asOf, sentAtMs: clock.elapsedMs() } }));
        },
      }),
  },
  {
    name: 'life-from-the-read',
    breaks: ['G4'],
    what: 'What is left of a record is counted from the reply of Redis, not from when it was asked.',
    store: (store, clock) =>
      like(store, {
        read: async (...args) => {
          const reply = await store.read(...args);
          return { ...reply, asOf: { ...reply.asOf, sentAtMs: clock.elapsedMs() } };
        },
      }),
  },
  {
    name: 'life-from-the-commit',
    breaks: ['G4'],
    what: 'The life of a token is counted from the commit, not from the claim.',
    store: (store, clock) =>
      like(store, {
        reserve: async (request) => {
          const reply = await store.reserve(request);
          if (reply.kind !== 'go') return reply;
          // As if the provider had answered at once, however long it takes.
          const asOf = { ...reply.asOf, redisMs: reply.asOf.redisMs + 1_000, sentAtMs: clock.elapsedMs() };
          return { ...reply, asOf };
        },
      }),
  },
  {
    name: 'in-doubt-is-dead',
    breaks: ['G2'],
    what: 'A commit whose reply was lost is sent again as another one, is refused, and the token is revoked at its provider.',
    store: (store) => {
      const inDoubt = new Set<string>();
      return like(store, {
        commit: async (request) => {
          const isAgain = inDoubt.has(request.attempt);
          try {
            const reply = await store.commit(isAgain ? { ...request, attempt: `${request.attempt} again` } : request);
            return isAgain && reply.kind === 'lost' ? { kind: 'dead', asOf: reply.asOf } : reply;
          } catch (error) {
            inDoubt.add(request.attempt);
            throw error;
          }
        },
      });
    },
  },
  {
    name: 'promotion-keeps-the-epoch',
    breaks: ['G1', 'G2', 'G3', 'G7', 'availability', 'convergence'],
    what: 'A replica that lost writes goes on in the epoch of its master.',
    patch: () =>
      patched(FakeRedis.prototype, (before) => ({
        adopt(this: FakeRedis, ...args: Parameters<FakeRedis['adopt']>) {
          const partition = this.partitions[args[0]];
          if (partition !== undefined && partition.epoch !== 0) return partition;
          return before.adopt.apply(this, args);
        },
      })),
  },
  {
    name: 'generations-begin-anew',
    breaks: ['G1', 'G2', 'G3', 'availability'],
    what: 'An epoch counts its generations from one.',
    patch: () =>
      patched(FakePartition.prototype, () => ({
        nextGeneration(this: FakePartition) {
          this.generation = this.generation > this.epoch / 2 ? 1 : this.generation + 1;
          return this.generation;
        },
      })),
  },
];
