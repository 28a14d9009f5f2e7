import type { NatsConnectionLike } from '@token-broker/client';
import { SeededRandom, startNats, type NatsServer, type SimulatedConnection } from '@token-broker/testing';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { attempt, join, settle, textOf } from './nats-clients.js';
import { randomStory } from './nats-story.js';
import { realWorld, RECONNECT_WAIT_MS, simulatedWorld, type World } from './nats-worlds.js';

let server: NatsServer;

beforeAll(async () => {
  // Clients that say nothing are found after two of its pings.
  server = await startNats({ configText: 'ping_interval: "500ms"\nping_max: 1' });
});

afterAll(() => server.stop());

/** Runs a story in the real world and in the simulated one, and gives what each tells. */
async function both<T>(story: (world: World) => Promise<T>, seed = 1): Promise<readonly [real: T, simulated: T]> {
  const told: T[] = [];
  for (const world of [realWorld(server), simulatedWorld(seed)]) {
    try {
      told.push(await story(world));
    } finally {
      await world.end();
    }
  }
  return told as [T, T];
}

it('has the shape that the client library takes', () => {
  expectTypeOf<SimulatedConnection>().toExtend<NatsConnectionLike>();
});

describe('simulated NATS', () => {
  it.each(Array.from({ length: 8 }, () => new SeededRandom().seed))(
    'tells the same as a real server and the real driver, by random commands (seed %d)',
    async (seed) => {
      const [real, simulated] = await both((world) => randomStory(world, seed, 60), seed);
      expect(simulated).toEqual(real);
    },
    60_000,
  );

  it('tells of a link gone dead as the real one: by pings, and with what was sent into it lost', async () => {
    const [real, simulated] = await both(async (world) => {
      const [a, b] = [await join(world, 'a'), await join(world, 'b')];
      const heard: string[] = [];
      for (const client of [a, b])
        client.connection.subscribe('x', { callback: (_, { data }) => heard.push(`${client.name}<${textOf(data)}`) });
      await settle(world, [a, b]);
      a.link.halfOpen();
      a.publish('x');
      b.publish('x');
      const flushed = a.flush();
      const told = [...a.statuses];
      await world.until('the driver to notice', () => !a.isConnected);
      told.push(...a.statuses, await world.over(flushed));
      a.link.mend();
      await world.until('the reconnect', () => a.isConnected);
      a.publish('x');
      await settle(world, [a, b]);
      return [...told, ...a.statuses, ...b.statuses, ...heard.sort()];
    });
    expect(simulated).toEqual(real);
    expect(real).toContain('b<b:1');
    expect(real).not.toContain('b<a:1');
  });

  it('does not let a session live on that has lost bytes', async () => {
    const [real, simulated] = await both(async (world) => {
      const a = await join(world, 'a', { pingIntervalMs: 60_000 });
      const heard: string[] = [];
      a.connection.subscribe('x', { callback: (_, { data }) => heard.push(textOf(data)) });
      await settle(world, [a]);
      a.link.halfOpen();
      a.publish('x');
      const isLost = !(await world.within(100, () => heard.length > 0));
      a.link.mend();
      a.publish('x');
      await world.until('the reconnect', () => a.statuses.includes('reconnect'));
      a.publish('x');
      await settle(world, [a]);
      return { isLost, heard, statuses: a.statuses };
    });
    expect(real).toEqual({ isLost: true, heard: ['a:3'], statuses: ['disconnect', 'reconnect'] });
    expect(simulated).toEqual(real);
  });

  it('sends a dead member of a queue group its share, until its session has ended', async () => {
    const [real, simulated] = await both(async (world) => {
      const [a, b, c] = [await join(world, 'a'), await join(world, 'b'), await join(world, 'c')];
      const heard = { before: 0, after: 0 };
      let phase: keyof typeof heard = 'before';
      const callback = (): number => heard[phase]++;
      for (const { connection } of [a, b]) connection.subscribe('work', { queue: 'q', callback });
      await settle(world, [a, b, c]);
      a.link.halfOpen();
      for (let i = 0; i < 100; i++) c.publish('work');
      await settle(world, [b, c]);
      const before = heard.before > 20 && heard.before < 80;
      await world.until('the driver to notice', () => !a.isConnected);
      a.link.mend();
      await world.until('the reconnect', () => a.isConnected);
      await settle(world, [a, b, c]);
      phase = 'after';
      for (let i = 0; i < 100; i++) c.publish('work');
      await settle(world, [a, b, c]);
      return { before, after: heard.after };
    });
    expect(real).toEqual({ before: true, after: 100 });
    expect(simulated).toEqual(real);
  });

  it('keeps what is published during the attempt to connect that succeeds, and loses what was before it', async () => {
    const [real, simulated] = await both(async (world) => {
      const a = await join(world, 'a');
      const heard: string[] = [];
      a.connection.subscribe('x', { callback: (_, { data }) => heard.push(textOf(data)) });
      await settle(world, [a]);
      let attempts = 0;
      a.onAttempt = () => {
        a.connection.publish('x', Buffer.from(`attempt ${String(++attempts)}`));
      };
      await world.stopServer();
      await world.until('some attempts', () => attempts > 2);
      await world.startServer();
      await world.until('the reconnect', () => a.isConnected);
      await settle(world, [a]);
      return heard.map((message) => (message === `attempt ${String(attempts)}` ? 'the last' : message));
    });
    expect({ real, simulated }).toEqual({ real: ['the last'], simulated: ['the last'] });
  });

  it('serves requests as a service of the real driver does, and ends like it', async () => {
    const [real, simulated] = await both(async (world) => {
      const [a, b] = [await join(world, 'a'), await join(world, 'b')];
      const told: string[] = [];
      const service = await world.over(a.connection.services.add({ name: 'echo', version: '1.0.0', queue: 'q' }));
      service.addEndpoint('echo', {
        subject: 'echo.*',
        handler: (error, { subject, data, reply }) => told.push([error, subject, textOf(data), reply].join(' ')),
      });
      const other = await world.over(b.connection.services.add({ name: 'echo', version: '1.0.0', queue: 'q' }));
      for (const each of [service, other])
        each.addEndpoint('shared', { subject: 'shared', handler: (_, message) => message.respond(message.data) });
      service.addEndpoint('back', { subject: 'back', handler: (_, message) => message.respond(message.data) });
      b.connection.subscribe('inbox.*', {
        callback: (_, { subject, data, headers }) => told.push(`${subject} ${headers?.code ?? textOf(data)}`),
      });
      await settle(world, [a, b]);
      b.publish('echo.1', 'inbox.1');
      b.publish('echo.2');
      b.publish('back', 'inbox.2');
      await settle(world, [a, b]);
      // One of both answers.
      b.publish('shared', 'inbox.shared');
      await settle(world, [a, b]);
      told.push(String(await world.over(service.stop())), String(await world.over(service.stopped)));
      b.publish('back', 'inbox.3');
      await settle(world, [a, b]);
      return told;
    });
    expect(simulated).toEqual(real);
    expect(real).toHaveLength(7);
  });

  it('closes at once: without what was published in that turn, and with no end to a flush that waits', async () => {
    const [real, simulated] = await both(async (world) => {
      const [a, b] = [await join(world, 'a'), await join(world, 'b')];
      const [told, heard]: [string[], string[]] = [[], []];
      b.connection.subscribe('x', { callback: (_, { data }) => heard.push(textOf(data)) });
      const subscription = a.connection.subscribe('x', { callback: () => heard.push('a') });
      await settle(world, [a, b]);
      a.publish('x');
      const flushed = a.flush();
      void flushed.then((how) => told.push(`flush ${how}`));
      a.publish('x');
      await a.connection.close();
      told.push(String(await world.over(a.connection.closed())), String(subscription.isClosed()));
      await settle(world, [b]);
      told.push(attempt(() => a.publish('x')));
      told.push(attempt(() => a.connection.subscribe('x', { callback: () => undefined })));
      told.push(attempt(() => subscription.unsubscribe()));
      await settle(world, [b]);
      return { told, heard };
    });
    expect(simulated).toEqual(real);
    // The flush had sent the first.
    expect(real.heard).toEqual(['a:1']);
  });

  it('refuses the same payloads and subjects', async () => {
    const [real, simulated] = await both(async (world) => {
      const { connection } = await join(world, 'a');
      return [
        attempt(() => connection.publish('x', new Uint8Array(1_048_576))),
        attempt(() => connection.publish('x', new Uint8Array(1_048_577))),
        attempt(() => connection.publish('', new Uint8Array(0))),
        attempt(() => connection.subscribe('', { callback: () => undefined })),
      ];
    });
    expect(simulated).toEqual(real);
  });

  it('does not connect again while the wall clock is behind the last attempt', async () => {
    const [real, simulated] = await both(async (world) => {
      const a = await join(world, 'a');
      await settle(world, [a]);
      world.jumpWall(-3_600_000);
      a.link.reset();
      await world.until('the driver to notice', () => !a.isConnected);
      const isBack = await world.within(20 * RECONNECT_WAIT_MS, () => a.isConnected);
      world.jumpWall(3_600_000);
      await world.until('the reconnect', () => a.isConnected);
      return [isBack, ...a.statuses];
    });
    expect(real).toEqual([false, 'disconnect', 'reconnect']);
    expect(simulated).toEqual(real);
  });

  it('is cut off by the server when it says nothing any more', async () => {
    const [real, simulated] = await both(async (world) => {
      const a = await join(world, 'a', { pingIntervalMs: 60_000, connectTimeoutMs: 500 });
      await settle(world, [a]);
      a.link.mute();
      await world.until(
        'two attempts to fail',
        () => a.statuses.filter((status) => status === 'disconnect').length > 2,
      );
      a.link.mend();
      await world.until('the reconnect', () => a.isConnected);
      await settle(world, [a]);
      const count = (type: string): number => a.statuses.filter((status) => status === type).length;
      const runs = a.statuses.filter((status, i) => status !== a.statuses[i - 1]);
      return { runs, isEachToldTwice: count('disconnect') > 2 && count('reconnect') === count('disconnect') };
    });
    // Each attempt that got as far as the server's greeting is told as one more connection that was lost, and one more
    // that is back in the end.
    expect(real).toEqual({ runs: ['error', 'disconnect', 'reconnect'], isEachToldTwice: true });
    expect(simulated).toEqual(real);
  });
});
