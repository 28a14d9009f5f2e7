import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { createTokenBroker, type SourceHandle, type TokenBroker } from '@token-broker/client';
import { connect } from 'nats';
import { serveMethods } from '../harness/serve-methods.js';
import { BARE_CALLER, BARE_PREFIX, PASSWORD, SOURCE } from '../stack/settings.js';

/** A near cache with very many slots; and the bare bytes of as many tokens. Runs with `--expose-gc`. */

const IN_FLIGHT = 256;
const SETTLE_MS = 200;

let client: TokenBroker | undefined;
let last: SourceHandle | undefined;
const strings: string[] = [];

const audienceOf = (slot: number): string => `https://api-${String(slot)}.example.com`;

async function heldBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await pause(SETTLE_MS);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Runs the work; how long the event loop could do nothing else, at most, in milliseconds. */
async function longestBlockMs(work: () => Promise<unknown>): Promise<number> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  await pause(SETTLE_MS);
  await work();
  await pause(SETTLE_MS);
  loop.disable();
  return loop.max / 1e6;
}

const methods = {
  async open({ url, slots }: { url: string; slots: number }) {
    const connection = await connect({
      ...{ servers: url, user: BARE_CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${BARE_CALLER}` },
    });
    client = createTokenBroker({
      ...{ connection, caller: BARE_CALLER, subjectPrefix: BARE_PREFIX, refetchOnRevoke: false },
      ...{ maxEntries: slots, maxBytes: Number.MAX_SAFE_INTEGER },
    });
  },
  /** Fills the near cache; bytes for each slot. */
  async fill({ slots }: { slots: number }) {
    const before = await heldBytes();
    let next = 0;
    const fillNext = async (): Promise<void> => {
      while (next < slots) await client?.source(SOURCE, { audience: audienceOf(next++) }).get();
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, fillNext));
    last = client?.source(SOURCE, { audience: audienceOf(slots - 1) });
    if (client?.stats().entries !== slots) throw new Error(`${String(client?.stats().entries)} slots are held`);
    return ((await heldBytes()) - before) / slots;
  },
  /** Holds the bare bytes of as many tokens, as they come off the wire; bytes for each. */
  async fillBare({ slots, tokenCharacters }: { slots: number; tokenCharacters: number }) {
    const before = await heldBytes();
    for (let i = 0; i < slots; i++)
      strings.push(Buffer.from(`${String(i)}-`.padEnd(tokenCharacters, 'x')).toString('latin1'));
    const bytes = ((await heldBytes()) - before) / slots;
    strings.length = 0;
    return bytes;
  },
  /** How long the loop is blocked while nothing happens. */
  idleBlockMs: () => longestBlockMs(() => pause(SETTLE_MS)),
  /**
   * How long it takes from the revocation of a source until the last of its slots has been dropped and announced, and how long the
   * loop is blocked meanwhile.
   */
  async awaitRevocation() {
    let told = 0;
    let revokedAtMs = Number.NaN;
    client?.on('revoked', () => {
      told++;
    });
    let sweptMs = Number.NaN;
    const blockedMs = await longestBlockMs(async () => {
      while (last?.current !== undefined) await pause(1);
      revokedAtMs = performance.now();
      while (told < (client?.stats().entries ?? 0)) await pause(1);
      sweptMs = performance.now() - revokedAtMs;
    });
    return { blockedMs, sweptMs };
  },
};
export type SlotHolderMethods = typeof methods;
serveMethods(methods);
