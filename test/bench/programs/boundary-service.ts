import { createTokenBroker, type SourceHandle, type TokenBroker } from '@token-broker/client';
import { connect } from 'nats';
import { percentileOf } from '../harness/figures.js';
import { machineNs } from '../harness/machine.js';
import { serveMethods } from '../harness/serve-methods.js';
import { CALLER, PASSWORD, SOURCE } from '../stack/settings.js';

/** A service that asks for many short-lived tokens all the time, and times every call. */

const NS_PER_MS = 1e6;
/** Between two rounds over all handles. */
const PAUSE_MS = 1;

interface Sample {
  readonly slot: number;
  readonly atNs: number;
  readonly tookNs: number;
}

const handles: SourceHandle[] = [];
let client: TokenBroker | undefined;
/** When each slot got another token. */
const boundaries: number[][] = [];

/** Samples until so many boundaries were crossed. */
async function sampleOver(wanted: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const crossed of boundaries) crossed.length = 0;
  while (boundaries.reduce((sum, { length }) => sum + length, 0) < wanted) {
    for (const [slot, handle] of handles.entries()) {
      const atNs = machineNs();
      await handle.get();
      samples.push({ slot, atNs, tookNs: machineNs() - atNs });
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return samples;
}

const methods = {
  async open({ url, slots }: { url: string; slots: number }) {
    const connection = await connect({ servers: url, user: CALLER, pass: PASSWORD, inboxPrefix: `_INBOX.${CALLER}` });
    client = createTokenBroker({ connection, caller: CALLER });
    await client.ready();
    for (let slot = 0; slot < slots; slot++) {
      const handle = client.source(SOURCE, { audience: `https://api-${String(slot)}.example.com` });
      const crossed: number[] = [];
      handle.on('refreshed', () => crossed.push(machineNs()));
      handles.push(handle);
      boundaries.push(crossed);
      await handle.get();
    }
  },
  /** Percentiles of `get` near a boundary of its slot, and away from all of them, in microseconds. */
  async measure({ wanted, nearMs }: { wanted: number; nearMs: number }) {
    const before = client?.stats();
    const samples = await sampleOver(wanted);
    const after = client?.stats();
    const across: number[] = [];
    const between: number[] = [];
    for (const { slot, atNs, tookNs } of samples) {
      const isNear = boundaries[slot]?.some((at) => Math.abs(at - atNs) < nearMs * NS_PER_MS) === true;
      (isNear ? across : between).push(tookNs / 1_000);
    }
    return {
      across: percentileOf(across, 0.9999),
      between: percentileOf(between, 0.9999),
      samplesAcross: across.length,
      samplesBetween: between.length,
      misses: (after?.misses ?? 0) - (before?.misses ?? 0),
      requests: (after?.requests ?? 0) - (before?.requests ?? 0),
    };
  },
};
export type BoundaryServiceMethods = typeof methods;
serveMethods(methods);
