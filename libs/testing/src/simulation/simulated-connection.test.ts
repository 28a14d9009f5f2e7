import { beforeEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../seeded-random.js';
import { EventLoop } from './event-loop.js';
import type { SimulatedConnectionOptions } from './driver-link.js';
import type { SimulatedConnection } from './simulated-connection.js';
import { SimulatedNats, type SimulatedNatsProfile } from './simulated-nats.js';
import { SimulatedProcess } from './simulated-process.js';

const PING_INTERVAL_MS = 2_000;
/** Three intervals, the first of which begins when the session does. */
const DEAD_LINK_FOUND_MS = 3 * PING_INTERVAL_MS;
const SERVER_PING_MS = 20_000;

let loop: EventLoop;
let nats: SimulatedNats;

function begin(profile: SimulatedNatsProfile = {}, seed = 1): void {
  loop = new EventLoop();
  nats = new SimulatedNats(loop, new SeededRandom(seed), profile);
}

beforeEach(() => {
  begin();
});

class Client {
  readonly process: SimulatedProcess;
  readonly connection: SimulatedConnection;
  /** Payloads, as they came. */
  readonly got: string[] = [];
  /** Changes, and when the driver told of them. */
  readonly changes: { readonly type: string; readonly atMs: number }[] = [];

  constructor(name: string, options: SimulatedConnectionOptions = {}) {
    this.process = new SimulatedProcess(loop, name);
    this.connection = nats.connect(this.process, options);
    void this.#watch();
  }

  get statuses(): string[] {
    return this.changes.map(({ type }) => type);
  }

  /** When the driver first told of this. */
  whenMs(type: string): number {
    return this.changes.find((change) => change.type === type)?.atMs ?? Number.NaN;
  }

  listen(subject: string, queue = ''): void {
    this.connection.subscribe(subject, {
      callback: (_, { data }) => this.got.push(Buffer.from(data).toString()),
      queue,
    });
  }

  say(subject: string, data: string): void {
    this.connection.publish(subject, data);
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status())
      if (type !== 'reconnecting') this.changes.push({ type, atMs: loop.nowMs });
  }
}

const pass = (ms = 10): Promise<void> => loop.run(loop.nowMs + ms);

/** Two clients, of which the second hears what the first says. */
async function pair(options: SimulatedConnectionOptions = {}): Promise<readonly [Client, Client]> {
  const [a, b] = [new Client('a', options), new Client('b', options)];
  b.listen('x');
  // By now a broken session is made anew at once: the wait is counted from the attempt before.
  await pass(1_000);
  return [a, b];
}

/** Says the numbers from 1 to `count`, each at a moment of its own. */
async function count(from: Client, to: number): Promise<string[]> {
  const said = Array.from({ length: to }, (_, i) => String(i + 1));
  for (const number of said) {
    from.say('x', number);
    await pass(1);
  }
  await pass(1_000);
  return said;
}

const MANY = 400;

describe('the wires of a simulated connection', () => {
  it.each(['toServer', 'toClient'] as const)('lose published messages %s, and nothing else', async (way) => {
    const [a, b] = await pair();
    (way === 'toServer' ? a : b).connection[way].loss = 0.3;
    const said = await count(a, MANY);
    const { lost } = nats.counts;
    expect(b.got).toHaveLength(MANY - lost);
    expect(lost).toBeGreaterThan(0.2 * MANY);
    expect(lost).toBeLessThan(0.4 * MANY);
    // In order still.
    expect(b.got).toEqual(said.filter((number) => b.got.includes(number)));
    const faulty = way === 'toServer' ? a : b;
    faulty.connection[way].loss = 1;
    faulty.listen('y');
    const flushed = faulty.connection.flush();
    await pass();
    await expect(flushed).resolves.toBeUndefined();
    expect([...a.statuses, ...b.statuses]).toEqual([]);
  });

  it.each(['toServer', 'toClient'] as const)('duplicate messages %s', async (way) => {
    const [a, b] = await pair();
    (way === 'toServer' ? a : b).connection[way].duplicate = 0.3;
    const said = await count(a, MANY);
    const { duplicated } = nats.counts;
    expect(duplicated).toBeGreaterThan(0.2 * MANY);
    expect(b.got).toHaveLength(MANY + duplicated);
    expect([...new Set(b.got)].sort()).toEqual(said.sort());
  });

  it.each(['toServer', 'toClient'] as const)('let messages be overtaken %s', async (way) => {
    const [a, b] = await pair();
    (way === 'toServer' ? a : b).connection[way].reorder = 0.3;
    const said = await count(a, MANY);
    expect(b.got).not.toEqual(said);
    expect([...b.got].sort()).toEqual([...said].sort());
    expect(nats.counts.reordered).toBeGreaterThan(0.2 * MANY);
  });

  it('delay and jitter, and keep the order', async () => {
    const [a, b] = await pair();
    Object.assign(a.connection.toServer, { delayMs: 500, jitterMs: 300 });
    const startedMs = loop.nowMs;
    a.say('x', '1');
    await pass(500);
    expect(b.got).toEqual([]);
    const said = ['1', ...(await count(a, MANY))];
    expect(b.got).toEqual(said);
    expect(loop.nowMs).toBeGreaterThan(startedMs);
  });

  it('hold everything, in order, until it is released', async () => {
    const [a, b] = await pair();
    b.connection.toClient.held = true;
    a.say('x', '1');
    a.say('x', '2');
    const flushed = b.connection.flush();
    let isFlushed = false;
    void flushed.then(() => (isFlushed = true));
    await pass(1_000);
    expect({ got: b.got, isFlushed }).toEqual({ got: [], isFlushed: false });
    b.connection.toClient.held = false;
    await pass();
    expect({ got: b.got, isFlushed }).toEqual({ got: ['1', '2'], isFlushed: true });
  });

  it('swallow everything one way or both while they are blocked, and the session ends by it', async () => {
    const [a, b] = await pair();
    b.connection.toClient.blocked = true;
    a.say('x', 'into the void');
    b.say('x', 'and from there');
    await pass();
    expect(b.got).toEqual([]);
    expect(b.connection.isConnected).toBe(true);
    await pass(DEAD_LINK_FOUND_MS);
    expect(b.statuses).toEqual(['disconnect']);
    expect(b.whenMs('disconnect')).toBeGreaterThan(2 * PING_INTERVAL_MS);
    expect(b.whenMs('disconnect')).toBeLessThanOrEqual(DEAD_LINK_FOUND_MS);
    b.connection.toClient.blocked = false;
    // An attempt to connect takes 2 s at most, and the next begins 500 ms after it at the latest.
    await pass(2_500);
    a.say('x', 'again');
    await pass();
    expect(b.got).toEqual(['again']);
  });

  it('break a session that has lost bytes as soon as others get through', async () => {
    const [a, b] = await pair();
    a.connection.toServer.blocked = true;
    a.say('x', 'lost');
    await pass();
    a.connection.toServer.blocked = false;
    await pass();
    expect(a.statuses).toEqual([]);
    a.say('x', 'lost too');
    await pass(10);
    expect(a.statuses).toEqual(['disconnect', 'reconnect']);
    a.say('x', 'heard');
    await pass();
    expect(b.got).toEqual(['heard']);
  });
});

describe('a simulated session', () => {
  it('that is reset breaks at once, loses what was under way, and is there again with its subscriptions', async () => {
    const [a, b] = await pair();
    a.say('x', 'under way');
    await pass(0.7);
    b.connection.reset();
    expect(b.connection.isConnected).toBe(false);
    await pass();
    expect(b.statuses).toEqual(['disconnect', 'reconnect']);
    expect(b.got).toEqual([]);
    a.say('x', 'heard');
    await pass();
    expect(b.got).toEqual(['heard']);
    expect(nats.sessions).toBe(2);
  });

  it('rejects a flush that waits when it breaks', async () => {
    const [a] = await pair();
    const flushed = a.connection.flush();
    a.connection.reset();
    const outcome = flushed.catch((error: unknown) => String(error));
    await pass();
    expect(await outcome).toBe('NatsError: DISCONNECT');
  });

  it('cannot be made while the server is down, and is made soon after it is back', async () => {
    const [a, b] = await pair({ reconnectWaitMs: 500 });
    nats.stop();
    await pass(5_000);
    expect(nats.sessions).toBe(0);
    expect(b.connection.isConnected).toBe(false);
    a.say('x', 'nobody hears');
    const late = new Client('late', { reconnectWaitMs: 500 });
    late.listen('x');
    await pass(1_000);
    nats.start();
    await pass(600);
    expect([a.statuses, b.statuses, late.statuses]).toEqual([
      ['disconnect', 'reconnect'],
      ['disconnect', 'reconnect'],
      ['reconnect'],
    ]);
    a.say('x', 'heard');
    await pass();
    expect([b.got, late.got]).toEqual([['heard'], ['heard']]);
  });

  it('of a process that has been killed ends at once, after what it had sent', async () => {
    const [a, b] = await pair();
    const other = new Client('other');
    other.listen('work', 'q');
    a.listen('work', 'q');
    await pass();
    a.say('x', 'last words');
    await pass(0);
    a.process.kill();
    nats.gone(a.process);
    await pass();
    expect(b.got).toEqual(['last words']);
    expect(nats.sessions).toBe(2);
    for (let i = 0; i < 20; i++) b.say('work', '');
    await pass();
    expect(other.got).toHaveLength(20);
  });

  it('of a machine without power is routed to, groups included, until the server finds out', async () => {
    const [a, b] = await pair();
    const other = new Client('other');
    other.listen('work', 'q');
    a.listen('work', 'q');
    await pass();
    a.process.kill();
    for (let i = 0; i < 100; i++) b.say('work', '');
    await pass();
    expect(other.got.length).toBeGreaterThan(20);
    expect(other.got.length).toBeLessThan(80);
    await pass(SERVER_PING_MS);
    expect(nats.sessions).toBe(2);
    other.got.length = 0;
    for (let i = 0; i < 100; i++) b.say('work', '');
    await pass();
    expect(other.got).toHaveLength(100);
  });

  it('outlives a short stop of its process, which then hears all in order; a long one ends it', async () => {
    const [a, b] = await pair();
    b.process.stop();
    const said = await count(a, 100);
    expect(b.got).toEqual([]);
    b.process.continue();
    a.say('x', 'after');
    await pass();
    expect(b.got).toEqual([...said, 'after']);
    expect(b.statuses).toEqual([]);
    b.process.stop();
    await pass(SERVER_PING_MS);
    expect(b.statuses).toEqual([]);
    b.process.continue();
    await pass(1_000);
    expect(b.statuses).toEqual(['error', 'disconnect', 'reconnect']);
  });

  it('of a slow consumer is cut off, with what the server still held for it', async () => {
    begin({ maxUntaken: 10 });
    const [a, b] = await pair();
    b.connection.toClient.held = true;
    for (let i = 0; i < 10; i++) a.say('x', String(i));
    await pass();
    expect(nats.counts.slowConsumers).toBe(0);
    a.say('x', 'one too many');
    await pass();
    expect(nats.counts.slowConsumers).toBe(1);
    expect(nats.sessions).toBe(1);
    b.connection.toClient.held = false;
    await pass(1_000);
    expect(b.got).toEqual([]);
    expect(b.statuses).toEqual(['disconnect', 'reconnect']);
  });

  it('is not pinged by a stopped process, nor found dead by the clock of another machine', async () => {
    const [a] = await pair();
    const slow = new SimulatedProcess(loop, 'slow', 0.5);
    const connection = nats.connect(slow);
    connection.toServer.blocked = true;
    a.connection.toServer.blocked = true;
    a.process.stop();
    await pass(DEAD_LINK_FOUND_MS + 100);
    expect([a.connection.isConnected, connection.isConnected]).toEqual([true, true]);
    await pass(DEAD_LINK_FOUND_MS);
    expect([a.connection.isConnected, connection.isConnected]).toEqual([true, false]);
  });

  it('costs no events but a timer while it is healthy', async () => {
    await pair();
    const { steps } = loop;
    await pass(60_000);
    // Two drivers look every 2 s, and the server at both every 10 s.
    expect(loop.steps - steps).toBeLessThanOrEqual(2 * (30 + 6) + 2);
  });
});

describe('a step out of a process', () => {
  it('has a name, and can be its last', async () => {
    const [a, b] = await pair();
    const steps: string[] = [];
    a.process.onStep = (step) => {
      steps.push(step);
      if (step === 'nats:publish:x') a.process.kill();
    };
    a.listen('y');
    a.say('x', 'never');
    await pass();
    expect(steps).toEqual(['nats:subscribe:y', 'nats:publish:x']);
    expect(b.got).toEqual([]);
  });

  it('that the process is stopped at is done when it goes on', async () => {
    const [a, b] = await pair();
    a.process.onStep = (step) => {
      if (step === 'nats:publish:x') a.process.stop();
    };
    a.say('x', '1');
    a.say('x', '2');
    await pass(1_000);
    expect(b.got).toEqual([]);
    a.process.continue();
    await pass();
    expect(b.got).toEqual(['1', '2']);
  });
});

describe('a simulation of NATS', () => {
  async function run(seed: number): Promise<string> {
    begin({}, seed);
    const clients = Array.from({ length: 4 }, (_, i) => new Client(`c${String(i)}`, { reconnectJitterMs: 500 }));
    const log: string[] = [];
    for (const [i, client] of clients.entries()) {
      client.listen('x');
      client.listen('work', 'q');
      Object.assign(client.connection.toClient, { loss: 0.1, duplicate: 0.1, reorder: 0.1, jitterMs: 20 });
      loop.at(500 * i, () => client.connection.reset());
    }
    loop.at(3_000, () => nats.stop());
    loop.at(5_000, () => nats.start());
    for (let i = 0; i < 200; i++) {
      for (const client of clients) client.say(i % 2 === 0 ? 'x' : 'work', `${client.process.name}:${String(i)}`);
      await pass(50);
    }
    for (const { got, changes } of clients) log.push(got.join(' '), JSON.stringify(changes));
    return [...log, JSON.stringify(nats.counts), String(loop.steps)].join('\n');
  }

  it('depends on its seed alone', async () => {
    const [one, same, other] = [await run(7), await run(7), await run(8)];
    expect(same).toBe(one);
    expect(other).not.toBe(one);
  });
});
