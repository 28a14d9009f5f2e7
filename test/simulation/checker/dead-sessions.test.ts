import { beforeEach, describe, expect, it } from 'vitest';
import { scenarioOf } from '../scenario-of-seed.js';
import { World } from '../world/world.js';
import { converge } from './convergence.js';

let world: World;

beforeEach(async () => {
  const { shape } = scenarioOf(1);
  // No renewal is waited for, and no drift is to be reckoned with.
  const calm = { ...shape, brokers: 2, clients: 1, tokenLifeMs: 600_000, drift: 0, idpCaches: false };
  world = new World({ seed: 1, shape: calm, entries: [], troubleUntilMs: 0 });
  await world.loop.run(3_000);
});

/** The way to a broker loses what goes over it for a while: its session is broken, and NATS does not know. */
async function loseSession(): Promise<void> {
  const [broker] = world.brokers;
  if (broker === undefined) throw new RangeError('there is no broker');
  const { toClient } = broker.service;
  toClient.blocked = true;
  await world.loop.run(world.loop.nowMs + 3_000);
  toClient.blocked = false;
}

function refuse(): void {
  const [client] = world.clients;
  if (client !== undefined) world.observer.refused(client.process, client.index, 'slot', 'DEADLINE', world.loop.nowMs);
}

describe('a session of a broker that is dead, and that NATS has not found out', () => {
  it('is waited for before everything is called well again: requests are lost in it', async () => {
    await loseSession();
    expect(world.nats.groupsWholeSinceMs).toBe(Number.POSITIVE_INFINITY);
    expect(await converge(world, () => true)).toBeUndefined();
    expect(world.nats.groupsWholeSinceMs).toBeLessThanOrEqual(world.loop.nowMs);
  });

  it('is a reason to be refused as long as it is there, and no longer', async () => {
    await loseSession();
    refuse();
    expect(world.checker.violation).toBeUndefined();
    await converge(world, () => true);
    refuse();
    expect(world.checker.violation?.guarantee).toBe('availability');
  });

  it('is no excuse where there is none: each refusal is judged', () => {
    refuse();
    expect(world.checker.violation?.guarantee).toBe('availability');
  });
});
