import { createTokenBroker, type NatsConnectionLike } from '@token-broker/client';
import { createSystemClock, delay } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import { connect } from 'nats';
import { filterConnection } from '../links/filtered-connection.js';
import { machineMs } from '../upstream/machine-time.js';
import type { NearCacheLine, NearCachesSettings } from './near-cache-messages.js';

/**
 * Services in one process, each with a connection and a near cache of its own, that use their token all the time. Prints
 * when one of them serves another token than before, or none.
 */
const LOOK_EVERY_MS = 5;

const { addresses, caller, password, source, lostShare, seed } = JSON.parse(
  process.argv[2] ?? '{}',
) as NearCachesSettings;
const clock = createSystemClock();
process.on('SIGTERM', () => process.exit(0));

const looks = await Promise.all(addresses.map((address, index) => startNearCache(address, index)));
for (;;) {
  for (const look of looks) look();
  // The timer keeps no process alive, but the connections do.
  await delay(clock, LOOK_EVERY_MS);
}

/** Starts a near cache; what is returned looks at it, as a service does that uses its token. */
async function startNearCache(address: string, nearCache: number): Promise<() => void> {
  const inner = await connect({
    servers: address,
    user: caller,
    pass: password,
    inboxPrefix: `_INBOX.${caller}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    pingInterval: 2_000,
    maxPingOut: 2,
  });
  const client = createTokenBroker({ connection: lossy(inner, nearCache), caller });
  const handle = client.source(source);
  let served = 0;
  let lastServedAtMs = 0;
  let isFetching = false;
  const look = (): void => {
    const generation = handle.current?.generation ?? 0;
    const nowMs = machineMs();
    if (served !== 0 && generation !== served)
      print({ kind: 'stopped', nearCache, generation: served, lastServedAtMs, seenAtMs: nowMs });
    if (generation !== 0 && generation !== served) print({ kind: 'serves', nearCache, generation });
    served = generation;
    if (generation !== 0) lastServedAtMs = nowMs;
    else if (!isFetching) {
      isFetching = true;
      const fetched = (): void => {
        isFetching = false;
      };
      handle.get({ timeoutMs: 5_000 }).then(fetched, fetched);
    }
  };
  handle.on('revoked', look);
  return look;
}

function lossy(connection: NatsConnectionLike, nearCache: number): NatsConnectionLike {
  if (lostShare === 0) return connection;
  const random = new SeededRandom(seed + nearCache);
  const filtered = filterConnection(connection);
  filtered.decide(() => (random.uniform() < lostShare ? 'lost' : 'arrives'));
  return filtered.connection;
}

function print(line: NearCacheLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
