import { afterEach, expect, it } from 'vitest';
import { eventually } from '../eventually.js';
import { startFaultProxy } from '../fault-proxy.js';
import { startRedisCluster } from './redis-cluster.js';
import { redisCommand } from './redis-command.js';
import { startRedisReplica } from './redis-replica.js';
import { startRedis, type RedisServer } from './redis-server.js';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

it('a cluster serves every key from one of its masters, and goes on with the replica of one that is lost', async () => {
  const cluster = await startRedisCluster({ replicas: 1 });
  ends.push(() => cluster.stop());
  const keys = Array.from({ length: 20 }, (_, index) => `key-${String(index)}`);
  const served = new Set(await Promise.all(keys.map((key) => cluster.masterOf(key))));
  expect([...served].sort((one, other) => one.port - other.port)).toEqual(
    [...cluster.masters].sort((one, other) => one.port - other.port),
  );
  const [key = ''] = keys;
  const lost = await cluster.masterOf(key);
  await redisCommand(lost, 'SET', key, 'value');
  const [replica] = cluster.replicas[cluster.masters.indexOf(lost)] ?? [];
  if (replica === undefined) throw new Error('the master has no replica');
  // WAIT speaks of the connection that wrote: here each command has its own.
  const written = await offsetOf(lost);
  await eventually(async () => (await offsetOf(replica)) >= written, { what: 'the replica to have it' });
  await lost.kill('SIGKILL');
  const left = [...cluster.masters, ...cluster.replicas.flat()].filter((server) => server !== lost);
  expect(await cluster.takenOver(key, lost, left)).toBe(replica);
  expect(await redisCommand(replica, 'GET', key)).toBe('value');
});

/** How much of the stream of writes a server has written, or taken. */
async function offsetOf(server: RedisServer): Promise<number> {
  const text = await redisCommand(server, 'INFO', 'replication');
  const [, offset] = /slave_repl_offset:(\d+)/.exec(text) ?? /master_repl_offset:(\d+)/.exec(text) ?? [];
  return Number(offset);
}

it('a replica has what its link lets through, and becomes a master with that', async () => {
  const master = await startRedis();
  ends.push(() => master.stop());
  const link = await startFaultProxy({ host: master.host, port: master.port });
  ends.push(() => link.stop());
  await redisCommand(master, 'SET', 'before', 'there');
  const replica = await startRedisReplica({ of: link });
  ends.push(() => replica.stop());
  link.faults.toClient.hold = true;
  await redisCommand(master, 'SET', 'after', 'lost');
  await expect(redisCommand(replica.server, 'SET', 'own', 'value')).rejects.toThrow('READONLY');
  await replica.promote();
  await redisCommand(replica.server, 'SET', 'own', 'value');
  expect(await redisCommand(replica.server, 'GET', 'before')).toBe('there');
  expect(await redisCommand(replica.server, 'GET', 'after')).toBe('');
});
