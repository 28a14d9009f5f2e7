import { createTokenBroker, type SourceHandle } from '@token-broker/client';
import { connect } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { CALLER, PASSWORD, SOURCE } from '../stack/settings.js';

/** A service with a near cache that holds its token, beside what anybody would write by hand: a map and a look at the clock. */

interface Entry {
  readonly token: string;
  readonly expiresAtMs: number;
}

/** Other tokens of the service. */
const OTHERS = 100;
const LIFE_MS = 3_600_000;

const map = new Map<string, Entry>();
let key = '';
let handle: SourceHandle | undefined;

function openedHandle(): SourceHandle {
  if (handle === undefined) throw new Error('not opened');
  return handle;
}

function getSync(name: string): string | undefined {
  const entry = map.get(name);
  return entry !== undefined && Date.now() < entry.expiresAtMs ? entry.token : undefined;
}

// What is compared with is an async function that has nothing to wait for: that is the point.
async function getAsync(name: string): Promise<string> {
  const entry = map.get(name);
  if (entry !== undefined && Date.now() < entry.expiresAtMs) return entry.token;
  throw new Error('not held');
}

/** Nanoseconds of one round. @throws {Error} where a round was no hit */
function perRound(rounds: number, hits: number, startedAtMs: number): number {
  const tookMs = performance.now() - startedAtMs;
  if (hits !== rounds) throw new Error(`${String(rounds - hits)} of ${String(rounds)} were no hits`);
  return (tookMs * 1e6) / rounds;
}

const methods = {
  async open(url: string) {
    const connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
    const client = createTokenBroker({ connection, caller: CALLER });
    handle = client.source(SOURCE);
    const { accessToken } = await handle.get();
    await client.ready();
    key = handle.slot;
    const expiresAtMs = Date.now() + LIFE_MS;
    for (let i = 0; i < OTHERS; i++) map.set(`${key}-${String(i)}`, { token: accessToken, expiresAtMs });
    map.set(key, { token: accessToken, expiresAtMs });
  },

  oursSync(rounds: number) {
    const source = openedHandle();
    const startedAtMs = performance.now();
    let hits = 0;
    for (let i = 0; i < rounds; i++) if (source.current !== undefined) hits++;
    return perRound(rounds, hits, startedAtMs);
  },
  baselineSync(rounds: number) {
    const startedAtMs = performance.now();
    let hits = 0;
    for (let i = 0; i < rounds; i++) if (getSync(key) !== undefined) hits++;
    return perRound(rounds, hits, startedAtMs);
  },
  async oursAsync(rounds: number) {
    const source = openedHandle();
    const startedAtMs = performance.now();
    let hits = 0;
    for (let i = 0; i < rounds; i++) if ((await source.get()).generation > 0) hits++;
    return perRound(rounds, hits, startedAtMs);
  },
  async baselineAsync(rounds: number) {
    const startedAtMs = performance.now();
    let hits = 0;
    for (let i = 0; i < rounds; i++) if ((await getAsync(key)).length > 0) hits++;
    return perRound(rounds, hits, startedAtMs);
  },
};
export type NearCacheHitsMethods = typeof methods;
serveMethods(methods);
