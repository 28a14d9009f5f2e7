import type { SimulatedConnection } from '@token-broker/testing';
import type { Aim, FaultKind } from './fault-kind.js';

type Wire = SimulatedConnection['toServer'];

/** Sets some of a wire's faults, and takes them away again. */
function spoil(wires: readonly Wire[], change: Partial<Wire>): () => void {
  const calm: Partial<Wire> = {};
  for (const name of Object.keys(change) as (keyof Wire)[]) Object.assign(calm, { [name]: CALM[name] });
  for (const wire of wires) Object.assign(wire, change);
  return () => {
    for (const wire of wires) Object.assign(wire, calm);
  };
}

const CALM: Wire = {
  loss: 0,
  duplicate: 0,
  reorder: 0,

  delayMs: 0,
  jitterMs: 0,
  blocked: false,
  held: false,
};

/** One of a broker's two connections. */
function ofBroker({ broker, target }: Aim): SimulatedConnection {
  return target % 2 === 0 ? broker.events : broker.service;
}

/** The same faults for brokers and for clients: which of them is drawn too. */
function onWires(
  name: string,
  ways: (connection: SimulatedConnection) => readonly Wire[],
  change: (aim: Aim) => Partial<Wire>,
): FaultKind[] {
  return [
    {
      name: `broker-${name}`,
      group: 'links',
      spoils: 'everything',
      begin: (aim) => spoil(ways(ofBroker(aim)), change(aim)),
    },
    {
      name: `client-${name}`,
      group: 'links',
      spoils: 'one-client',
      begin: (aim) => spoil(ways(aim.client.connection), change(aim)),
    },
  ];
}

const both = ({ toServer, toClient }: SimulatedConnection): readonly Wire[] => [toServer, toClient];
const incoming = ({ toClient }: SimulatedConnection): readonly Wire[] => [toClient];
const outgoing = ({ toServer }: SimulatedConnection): readonly Wire[] => [toServer];

/** What happens to links between NATS and its clients. */
export const LINK_FAULTS: readonly FaultKind[] = [
  // Of what a client sends, nothing is lost or overtaken alone: the server has taken all of it, or the session is broken.
  ...onWires('loss', incoming, ({ size }) => ({ loss: 0.05 + 0.9 * size })),
  ...onWires('duplication', incoming, ({ size }) => ({ duplicate: 0.1 + 0.9 * size })),
  ...onWires('reordering', incoming, ({ size }) => ({ reorder: 0.1 + 0.5 * size })),
  ...onWires('delay', both, ({ size }) => ({ delayMs: 3_000 * size ** 2, jitterMs: 500 * size })),
  ...onWires('half-open', both, () => ({ blocked: true })),
  ...onWires('deaf', incoming, () => ({ blocked: true })),
  ...onWires('mute', outgoing, () => ({ blocked: true })),
  ...onWires('held', incoming, () => ({ held: true })),
  {
    name: 'broker-reset',
    group: 'links',
    spoils: 'everything',
    begin: (aim) => {
      ofBroker(aim).reset();
      return undefined;
    },
  },
  {
    name: 'client-reset',
    group: 'links',
    spoils: 'one-client',
    begin: ({ client }) => {
      client.connection.reset();
      return undefined;
    },
  },
  {
    name: 'client-slow-consumer',
    group: 'links',
    spoils: 'one-client',
    begin: ({ client }) => {
      const { connection } = client;
      connection.toClient.held = true;
      return () => {
        // The server has cut it off: what was held for it is gone.
        connection.reset();
        connection.toClient.held = false;
      };
    },
  },
  {
    name: 'nats-away',
    group: 'links',
    spoils: 'everything',
    begin: ({ world }) => {
      world.nats.stop();
      return () => {
        world.nats.start();
      };
    },
  },
];
