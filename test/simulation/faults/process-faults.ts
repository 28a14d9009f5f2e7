import type { FaultKind } from './fault-kind.js';

/** What happens to processes: between any two steps, also those that have no await between them. */
export const PROCESS_FAULTS: readonly FaultKind[] = [
  {
    name: 'broker-killed',
    group: 'processes',
    spoils: 'everything',
    begin: ({ broker }) => {
      broker.kill();
      return () => {
        broker.restart();
      };
    },
  },
  {
    name: 'broker-terminated',
    group: 'processes',
    spoils: 'everything',
    begin: ({ broker }) => {
      broker.terminate();
      return () => {
        broker.kill();
        broker.restart();
      };
    },
  },
  {
    name: 'broker-stopped',
    group: 'processes',
    spoils: 'everything',
    begin: ({ broker: { process } }) => {
      process.stop();
      return () => {
        process.continue();
      };
    },
  },
  {
    name: 'client-killed',
    group: 'processes',
    spoils: 'one-client',
    begin: ({ client }) => {
      client.kill();
      return () => {
        client.restart();
      };
    },
  },
  {
    name: 'client-stopped',
    group: 'processes',
    spoils: 'one-client',
    begin: ({ client: { process } }) => {
      process.stop();
      return () => {
        process.continue();
      };
    },
  },
];
