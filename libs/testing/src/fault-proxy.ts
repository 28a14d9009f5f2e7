import { connect, createServer, type Socket } from 'node:net';
import type { Random } from '@token-broker/foundation';
import { FaultLane, type LinkFaults } from './fault-lane.js';
import { SeededRandom } from './seeded-random.js';

/** Of the two directions of a link: from the one who connects to the server, or back. */
export type LinkDirection = 'toServer' | 'toClient';

/** Where a fault proxy passes connections on to. */
export interface FaultProxyOptions {
  readonly host: string;
  readonly port: number;
  /** For jitter: a seeded one repeats it. Default: a {@link SeededRandom} of a new seed. */
  readonly random?: Random;
}

/** A TCP proxy on a free port of 127.0.0.1 that does to a link what networks do. */
export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** The faults of each direction; each property may be set at any time. */
  readonly faults: Readonly<Record<LinkDirection, LinkFaults>>;
  /** Connections that are open on the side of those who connect. */
  readonly connections: number;
  /** Connections that were accepted since the start, the refused ones not counted. */
  readonly accepted: number;
  /** Resets all connections and refuses new ones, by a reset as well: the port stays taken. */
  cut(): void;
  /**
   * Swallows everything both ways, the ends of streams too: open connections seem to live, new ones are accepted and
   * never answered. What is already under way is lost.
   */
  halfOpen(): void;
  /**
   * Makes the link whole: ends {@link cut} and {@link halfOpen} and takes back all faults. Held bytes are passed on;
   * connections that have lost bytes are reset, for a TCP stream has no gaps.
   */
  mend(): void;
  /** Resets all connections; new ones are accepted. */
  reset(): void;
  /**
   * Calls `act` once, as soon as a connection brings these bytes in this direction, before they are passed on: the
   * faults that `act` sets hold for them already. Found also where they are spread over several chunks; of those, the
   * chunks before the last have gone ahead.
   */
  when(direction: LinkDirection, contains: string | Buffer, act: () => void): void;
  /** Ends all connections, and the proxy. Stopping twice does nothing. */
  stop(): Promise<void>;
}

interface Trigger {
  readonly direction: LinkDirection;
  readonly bytes: Buffer;
  readonly act: () => void;
}

interface Connection {
  readonly client: Socket;
  /** Absent where the link was half-open when the client connected. */
  readonly server: Socket | undefined;
  readonly lanes: readonly FaultLane[];
}

/** Starts a proxy in front of `options.host` and `options.port`, which need not be there yet. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { host, port, random = new SeededRandom() } = options;
  const connections = new Set<Connection>();
  const triggers: Trigger[] = [];
  let state: 'whole' | 'cut' | 'half-open' = 'whole';
  let accepted = 0;

  const pumpAll = (): void => {
    for (const { lanes } of connections) for (const lane of lanes) lane.pump();
  };
  const faults = { toServer: createFaults(pumpAll), toClient: createFaults(pumpAll) };

  const createLane = (direction: LinkDirection, from: Socket, to: Socket): FaultLane =>
    new FaultLane(from, to, {
      faults: faults[direction],
      random,
      isSilent: () => state === 'half-open',
      trigger: (before, bytes) => takeFirst(triggers, direction, before, bytes),
      longestTrigger: () => triggers.reduce((longest, trigger) => Math.max(longest, trigger.bytes.length), 0),
    });

  const accept = (client: Socket): void => {
    if (state === 'cut') {
      client.on('error', ignore);
      client.resetAndDestroy();
      return;
    }
    accepted += 1;
    const server = state === 'half-open' ? undefined : connect({ host, port, allowHalfOpen: true, noDelay: true });
    const lanes =
      server === undefined ? [] : [createLane('toServer', client, server), createLane('toClient', server, client)];
    const connection: Connection = { client, server, lanes };
    connections.add(connection);
    for (const socket of [client, server]) {
      socket?.on('error', ignore);
      socket?.on('close', () => {
        if (client.destroyed && server?.destroyed !== false) connections.delete(connection);
      });
    }
    if (server === undefined) client.resume();
  };

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  await new Promise<void>((resolve, reject) => {
    listener.on('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the system gave no port');

  const resetAll = (which: (connection: Connection) => boolean = () => true): void => {
    for (const connection of [...connections].filter(which)) {
      for (const lane of connection.lanes) lane.abandon();
      connection.client.resetAndDestroy();
      connection.server?.resetAndDestroy();
    }
  };
  let stopped: Promise<void> | undefined;
  return {
    host: '127.0.0.1',
    port: address.port,
    faults,
    get connections() {
      return [...connections].filter(({ client }) => !client.destroyed).length;
    },
    get accepted() {
      return accepted;
    },
    cut() {
      state = 'cut';
      resetAll();
    },
    halfOpen() {
      state = 'half-open';
      for (const { lanes } of connections) for (const lane of lanes) lane.lose();
    },
    mend() {
      state = 'whole';
      resetAll(({ server, lanes }) => server === undefined || lanes.some((lane) => lane.isLossy));
      for (const direction of [faults.toServer, faults.toClient]) Object.assign(direction, NO_FAULTS);
    },
    reset: () => resetAll(),
    when(direction, contains, act) {
      const bytes = Buffer.from(contains);
      if (bytes.length === 0) throw new Error('nothing to look for: every stream contains no bytes');
      triggers.push({ direction, bytes, act });
    },
    stop() {
      stopped ??= new Promise((resolve) => {
        state = 'cut';
        listener.close(() => resolve());
        resetAll();
      });
      return stopped;
    },
  };
}

const NO_FAULTS: Readonly<LinkFaults> = { delayMs: 0, jitterMs: 0, sliceBytes: 0, discard: false, hold: false };

/** Errors of a socket are passed on by its 'close'. */
function ignore(): void {
  // Nothing to do.
}

/** Faults that are none at first, and that tell when what was held may go on. */
function createFaults(whenReleased: () => void): LinkFaults {
  let { hold } = NO_FAULTS;
  return {
    ...NO_FAULTS,
    get hold() {
      return hold;
    },
    set hold(value: boolean) {
      hold = value;
      if (!value) whenReleased();
    },
  };
}

/** Removes from `triggers` the one of this direction whose bytes come first, and says where in `bytes` they begin. */
function takeFirst(
  triggers: Trigger[],
  direction: LinkDirection,
  before: Buffer,
  bytes: Buffer,
): { readonly at: number; readonly act: () => void } | undefined {
  let first: { trigger: Trigger; at: number } | undefined;
  for (const trigger of triggers) {
    if (trigger.direction !== direction) continue;
    const seen = Buffer.concat([before.subarray(Math.max(0, before.length - trigger.bytes.length + 1)), bytes]);
    const index = seen.indexOf(trigger.bytes);
    if (index === -1) continue;
    const at = Math.max(0, index - (seen.length - bytes.length));
    if (first === undefined || at < first.at) first = { trigger, at };
  }
  if (first === undefined) return undefined;
  triggers.splice(triggers.indexOf(first.trigger), 1);
  return { at: first.at, act: first.trigger.act };
}
