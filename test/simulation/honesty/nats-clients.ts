import type { ConnectOptions, Connection, Link, World } from './nats-worlds.js';

/** One client of a world, and all that it was told. */
export class Client {
  readonly name: string;
  readonly link: Link;
  readonly world: World;
  readonly statuses: string[] = [];
  /** Called when the driver begins an attempt to connect. */
  onAttempt: () => void = () => undefined;
  #published = 0;

  constructor(world: World, name: string, link: Link) {
    this.world = world;
    this.name = name;
    this.link = link;
    void this.#watch();
  }

  get connection(): Connection {
    return this.link.connection;
  }

  /** Whether the driver has told of a connection that is there. */
  get isConnected(): boolean {
    return this.statuses.at(-1) !== 'disconnect';
  }

  /** Each message says who sent it, and which of its messages it is. */
  publish(subject: string, reply = ''): void {
    const data = Buffer.from(`${this.name}:${String(++this.#published)}`);
    this.connection.publish(subject, data, reply === '' ? {} : { reply });
  }

  /** How a flush ends. */
  flush(): Promise<string> {
    return this.connection.flush().then(() => 'flushed', codeOf);
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status())
      if (type === 'reconnecting') this.onAttempt();
      else if (type === 'disconnect' || type === 'reconnect' || type === 'error') this.statuses.push(type);
  }
}

/** A client with a connection that is there. */
export async function join(world: World, name: string, options: ConnectOptions = {}): Promise<Client> {
  return new Client(world, name, await world.connect(name, options));
}

/** Rounds of flushes of all: requests are answered, and the answers are there. */
const SETTLE_ROUNDS = 4;

/** Lets everything arrive that is under way between clients that are connected. */
export async function settle(world: World, clients: readonly Client[]): Promise<void> {
  for (let round = 0; round < SETTLE_ROUNDS; round++) {
    const open = clients.filter(({ connection, isConnected }) => !connection.isClosed() && isConnected);
    await world.over(Promise.all(open.map((client) => client.flush())));
  }
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}

/** What comes of this: `done`, or the code of an error. */
export function attempt(work: () => void): string {
  try {
    work();
    return 'done';
  } catch (error) {
    return codeOf(error);
  }
}

export const textOf = (data: Uint8Array): string => Buffer.from(data).toString();
