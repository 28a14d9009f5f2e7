import type { SimulatedProcess } from '@token-broker/testing';
import type { Aim, FaultKind } from './fault-kind.js';

/**
 * A little, or minutes. Not far back: the driver of NATS counts its pause between two dials by the wall clock, and waits
 * until that has caught up.
 */
function jumpOf(size: number): number {
  return [-8_000, -5_000, -2_000, 700, 4_000, 600_000][Math.floor(size * 6)] ?? 0;
}

/**
 * A sleep and a wall clock that is set back hide each other, unless the process looks at its clocks between the two: neither
 * clock has gone on then, so that none of a process tells how long it slept. What is not promised is not simulated.
 */
function suspended(process: SimulatedProcess): () => void {
  const { clock } = process;
  process.stop();
  if (!clock.wasSetBackUnseen) clock.suspend();
  return () => {
    clock.resume();
    process.continue();
  };
}

function jumped({ clock }: SimulatedProcess, ms: number): void {
  if (clock.isSuspended || (ms < 0 && clock.hasSleptUnseen)) return;
  clock.jumpWall(ms);
}

const processOf = ({ broker, client, target }: Aim): SimulatedProcess => (target % 2 === 0 ? broker : client).process;

/** What happens to clocks. */
export const CLOCK_FAULTS: readonly FaultKind[] = [
  {
    name: 'wall-clock-jumps',
    group: 'clocks',
    spoils: 'everything',
    begin: (aim) => {
      jumped(processOf(aim), jumpOf(aim.size));
      return undefined;
    },
  },
  {
    name: 'broker-suspended',
    group: 'clocks',
    spoils: 'everything',
    begin: ({ broker }) => suspended(broker.process),
  },
  {
    name: 'client-suspended',
    group: 'clocks',
    spoils: 'one-client',
    begin: ({ client }) => suspended(client.process),
  },
];
