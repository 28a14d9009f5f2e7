import type { SimulatedProcess } from '@token-broker/testing';
import type { Aim, FaultKind } from './fault-kind.js';

/**
 * A little, or minutes. Not far back: the driver of NATS counts its pause between two dials by the wall clock, and waits
 * until that has caught up.
 */
function jumpOf(size: number): number {
  return [-8_000, -5_000, -2_000, 700, 4_000, 600_000][Math.floor(size * 6)] ?? 0;
}

function suspended(process: SimulatedProcess): () => void {
  process.stop();
  process.clock.suspend();
  return () => {
    process.clock.resume();
    process.continue();
  };
}

const processOf = ({ broker, client, target }: Aim): SimulatedProcess => (target % 2 === 0 ? broker : client).process;

/** What happens to clocks. */
export const CLOCK_FAULTS: readonly FaultKind[] = [
  {
    name: 'wall-clock-jumps',
    group: 'clocks',
    spoils: 'everything',
    begin: (aim) => {
      const { clock } = processOf(aim);
      // A clock that is set back while its machine sleeps hides how long it slept: no clock of a process tells.
      if (!clock.isSuspended) clock.jumpWall(jumpOf(aim.size));
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
