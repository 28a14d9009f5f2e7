import type { WireKind } from '../programs/wire-times.js';
import type { Stack } from './stack.js';

/** Options of Node for brokers that say when their events leave them. */
export const WIRE_TIMES = ['--import', new URL('../programs/wire-times.js', import.meta.url).href];

/** How many messages of a kind have left the first broker. */
export function wireCount({ brokers: [broker] }: Stack, kind: WireKind): number {
  return broker?.program.stdout.filter((line) => line.startsWith(`wire ${kind} `)).length ?? 0;
}

/** When the message of a kind with this number (from 1) left the first broker; waits for it. */
export async function wireNs({ brokers: [broker] }: Stack, kind: WireKind, number: number): Promise<number> {
  const line = await broker?.program.waitForLine((each) => each.startsWith(`wire ${kind} ${String(number)} `));
  return Number(line?.split(' ')[3]);
}
