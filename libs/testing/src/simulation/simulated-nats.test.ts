import { beforeEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../seeded-random.js';
import { EventLoop } from './event-loop.js';
import type { SimulatedConnection } from './simulated-connection.js';
import type { SimulatedMessage } from './simulated-message.js';
import { SimulatedNats } from './simulated-nats.js';
import { SimulatedProcess } from './simulated-process.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

let loop: EventLoop;
let nats: SimulatedNats;

beforeEach(() => {
  loop = new EventLoop();
  nats = new SimulatedNats(loop, new SeededRandom(1));
});

/** A process with one connection, and what its subscriptions got: `subject=data`. */
class Client {
  readonly process: SimulatedProcess;
  readonly connection: SimulatedConnection;
  readonly got: string[] = [];
  readonly statuses: string[] = [];

  constructor(name: string, options: Parameters<SimulatedNats['connect']>[1] = {}) {
    this.process = new SimulatedProcess(loop, name);
    this.connection = nats.connect(this.process, options);
    const watch = async (): Promise<void> => {
      for await (const { type } of this.connection.status()) this.statuses.push(`${type} ${loop.nowMs.toFixed(0)}`);
    };
    void watch();
  }

  listen(subject: string, queue?: string): ReturnType<SimulatedConnection['subscribe']> {
    const callback = (_: Error | null, { subject: on, data, headers }: SimulatedMessage): void =>
      void this.got.push(headers === undefined ? `${on}=${text(data)}` : `${on}!${String(headers.code)}`);
    return this.connection.subscribe(subject, queue === undefined ? { callback } : { callback, queue });
  }

  say(subject: string, data: string, reply?: string): void {
    this.connection.publish(subject, data, reply === undefined ? {} : { reply });
  }
}

const pass = (ms = 10): Promise<void> => loop.run(loop.nowMs + ms);

describe('a simulated NATS server', () => {
  it('gives each subscription a copy, in the order of the publisher', async () => {
    const [a, b] = [new Client('a'), new Client('b')];
    b.listen('x.*');
    b.listen('x.>');
    b.listen('y');
    b.listen('x.one');
    b.listen('x');
    await pass();
    a.say('x.one', '1');
    a.say('x.one.more', '2');
    await pass();
    a.say('y', '3');
    await pass();
    expect(b.got).toEqual(['x.one=1', 'x.one=1', 'x.one=1', 'x.one.more=2', 'y=3']);
    expect(nats.counts).toMatchObject({ published: 3, delivered: 5 });
  });

  it('gives a message to one member of each queue group, whatever pattern it joined by', async () => {
    const clients = [new Client('a'), new Client('b'), new Client('c')];
    for (const client of clients) client.listen(client.process.name === 'c' ? 'work.*' : 'work.it', 'workers');
    const other = new Client('other');
    other.listen('work.it', 'others');
    await pass();
    for (let i = 0; i < 60; i++) other.say('work.it', String(i));
    await pass();
    expect(clients.flatMap(({ got }) => got)).toHaveLength(60);
    for (const { got } of clients) expect(got.length).toBeGreaterThan(5);
    expect(other.got).toHaveLength(60);
  });

  it('knows since when the members of queue groups have all been there, also where one is gone and it has not found out', async () => {
    const clients = [new Client('a'), new Client('b')];
    const [a, b] = clients;
    if (a === undefined || b === undefined) return;
    a.listen('work', 'workers');
    b.listen('work', 'workers');
    const bystander = new Client('bystander');
    bystander.listen('news');
    const torn = async ({ connection }: Client): Promise<void> => {
      connection.toClient.blocked = true;
      // One answer to a ping of its driver is lost: with more, that would give up itself, and say so to the server.
      await pass(2_500);
      connection.toClient.blocked = false;
    };
    await pass();
    await torn(bystander);
    expect(nats.groupsWholeSinceMs).toBe(0);
    const tornAtMs = loop.nowMs;
    await torn(a);
    // Its stream has a hole: what comes next breaks it, and then it has another session, and the server both.
    expect(nats.groupsWholeSinceMs).toBe(Number.POSITIVE_INFINITY);
    await pass(5_000);
    expect(a.connection.isConnected).toBe(true);
    expect(nats.groupsWholeSinceMs).toBe(Number.POSITIVE_INFINITY);
    for (let i = 0; i < 60; i++) bystander.say('work', String(i));
    await pass();
    expect(a.got.length + b.got.length).toBeLessThan(55);
    await pass(25_000);
    expect(nats.groupsWholeSinceMs).toBeGreaterThan(tornAtMs + 5_000);
    expect(nats.groupsWholeSinceMs).toBeLessThanOrEqual(loop.nowMs);
    for (let i = 0; i < 60; i++) bystander.say('work', String(i));
    const before = a.got.length + b.got.length;
    await pass();
    expect(a.got.length + b.got.length).toBe(before + 60);
  });

  it('takes what one connection sends in order: a subscription counts for what is published after it', async () => {
    const a = new Client('a');
    a.say('x', 'before');
    const subscription = a.listen('x');
    a.say('x', 'after');
    await pass();
    subscription.unsubscribe();
    a.say('x', 'too late');
    await pass();
    expect(a.got).toEqual(['x=after']);
    expect(subscription.isClosed()).toBe(true);
  });

  it('tells who asks for a reply that nobody listens', async () => {
    const [a, b] = [new Client('a'), new Client('b')];
    a.listen('inbox.a.*');
    a.say('nobody', 'hello', 'inbox.a.1');
    b.say('nobody', 'hello', 'inbox.a.2');
    a.say('nobody', 'no reply wanted');
    await pass();
    // As the real one: only on a subscription of the very connection that asked.
    expect(a.got).toEqual(['inbox.a.1!503']);
    expect(nats.counts.noResponders).toBe(2);
  });

  it('answers requests through a service, which takes what was sent before it stopped', async () => {
    const [a, b] = [new Client('a'), new Client('b')];
    const service = await b.connection.services.add({ name: 's', version: '1.0.0', queue: 'q' });
    service.addEndpoint('echo', { subject: 'echo', handler: (_, message) => void message.respond(message.data) });
    a.listen('inbox.*');
    await pass();
    a.say('echo', 'one', 'inbox.1');
    await pass(0.9);
    const stopped = service.stop();
    await pass();
    expect(await stopped).toBeNull();
    a.say('echo', 'two', 'inbox.2');
    await pass();
    expect(a.got).toEqual(['inbox.1=one', 'inbox.2!503']);
  });

  it('is a place for faults when it takes a publish', async () => {
    const [a, b] = [new Client('a'), new Client('b')];
    b.listen('x');
    await pass();
    nats.onMessage = (subject) => {
      if (subject === 'x') nats.stop();
    };
    a.say('x', 'lost');
    await pass();
    expect(b.got).toEqual([]);
    expect(b.statuses[0]).toMatch(/^disconnect/);
  });
});
