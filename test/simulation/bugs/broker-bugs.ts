import { GetToken, Memory } from '@token-broker/broker/simulation';
import { delay } from '@token-broker/foundation';
import type { Bug } from './bug.js';
import { patched } from './patched.js';

/** So long does an answer wait that was judged too early. */
const AWAITED_MS = 300;

/** Rules that brokers keep in themselves. */
export const BROKER_BUGS: readonly Bug[] = [
  {
    name: 'error-is-held',
    breaks: ['availability'],
    what: 'A lock master that does not answer is taken for a lock that another holds.',
    locks: (locks) => ({
      acquire: async (...args) => {
        const reply = await locks.acquire(...args);
        return reply.kind === 'error' ? { kind: 'held' } : reply;
      },
    }),
  },
  {
    name: 'judged-before-the-await',
    breaks: ['G2', 'G4', 'availability'],
    what: 'Whether a token still counts is looked at before something is awaited, and not after it.',
    service: (service, clock) => ({
      start: (handle) =>
        service.start(async (request) => {
          const reply = await handle(request);
          if (request.verb === 'get') await delay(clock, AWAITED_MS);
          return reply;
        }),
      drain: (limitMs) => service.drain(limitMs),
      isConnected: () => service.isConnected(),
    }),
  },
  {
    name: 'join-a-flight-of-before',
    breaks: ['G2'],
    what: 'Callers after a revocation join a flight of before it, and are given what it brings.',
    store: (store) => ({
      ...store,
      commit: async (request) => {
        const reply = await store.commit(request);
        return reply.kind === 'dead' ? { kind: 'ok', asOf: reply.asOf, generation: request.generation } : reply;
      },
    }),
    patch: () => patched(GetToken.prototype, () => ({ detach: () => undefined })),
  },
  {
    name: 'memory-forgets-to-drop',
    breaks: ['G2', 'availability'],
    what: 'A broker confirms invalidations, and goes on answering from memory.',
    patch: () =>
      patched(Memory.prototype, () => ({
        apply(this: Memory, partition, epoch, entry) {
          const view = this.view(partition);
          if (epoch > view.epoch) this.beginEpoch(partition, epoch, entry.vseq);
          else if (epoch === view.epoch && entry.vseq > view.applied) view.note(entry);
          return false;
        },
      })),
  },
];
