import { bytes, choice, duration, integer, withDefault } from '../scalars.js';
import { crossCheck, settings } from '../settings.js';

/** What a near cache may miss before it turns suspect: heartbeats come once a tick. */
const TICKS_UNTIL_SUSPECT = 3;

export const logSchema = settings('Logging, as JSON lines on standard output.', {
  level: withDefault(choice('The least severe level that is written.', ['debug', 'info', 'warn', 'error']), 'info'),
});

export const memorySchema = settings('Bounds of the tokens that a broker holds in memory.', {
  maxEntries: withDefault(integer('The most tokens.', { min: 1, max: 100_000_000 }), 10_000),
  maxBytes: withDefault(bytes('The most bytes of tokens: a number, or text such as 64MiB.'), '64MiB'),
});

export const clusterSchema = crossCheck(
  settings('Timing and slicing that all brokers and near caches agree on.', {
    partitions: withDefault(
      integer('Slices of the slots; the same on every broker, never changed on a live data set.', {
        min: 1,
        max: 1024,
      }),
      16,
    ),
    tick: withDefault(
      duration('How often brokers read the partitions’ sequences and publish the heartbeat.', {
        min: '50ms',
        max: '1h',
      }),
      '1s',
    ),
    minLifetime: withDefault(
      duration('The least remaining life with which a token is still handed out.', { min: '0s' }),
      '5s',
    ),
    maxStaleness: withDefault(
      duration('How long a near cache that may have missed an invalidation still serves; above three ticks.', {
        max: '24h',
      }),
      '60s',
    ),
    demand: withDefault(
      duration('How long a token is refreshed ahead after the last request for it; 0s: only those marked keepWarm.', {
        min: '0s',
      }),
      '10m',
    ),
  }),
  ({ tick, maxStaleness }, report) => {
    if (typeof tick !== 'number' || typeof maxStaleness !== 'number') return;
    if (tick * TICKS_UNTIL_SUSPECT < maxStaleness) return;
    report(
      ['maxStaleness'],
      'is not above three ticks, in which a lost heartbeat is noticed',
      'raise maxStaleness or lower tick',
    );
  },
);
