import type { LeaseRequest } from '../../../../app/ports/store.js';
import { EVERY_ADDRESS, LONG_MS, WHOLE_TARGETS } from './cast.js';
import type { Command, Scene } from './scene.js';

const asked = ({ known, pick }: Scene): LeaseRequest[] => known.leases(() => pick([0, 0, 1, 5]));

const lease: Command = async (scene) => {
  const { store, known, say, lifeMs, maybeTwice, words } = scene;
  const leaseMs = lifeMs();
  const replies = await maybeTwice(() => store.lease(asked(scene), leaseMs));
  for (const reply of replies) {
    say(words.lease(reply), words.asOf(reply, reply.asOf));
    known.heardOf(reply.partition).epoch = reply.asOf.epoch;
  }
};

const tail: Command = async (scene) => {
  const { store, say, words } = scene;
  for (const reply of await store.tail(asked(scene))) say(words.asOf(reply, reply.asOf), words.entries(reply));
};

const leave: Command = async ({ store, maybeTwice }) => {
  await maybeTwice(() => store.leave());
};

const scan: Command = async ({ store, say, words }) => {
  say(...(await words.scanned(store)));
};

const list: Command = async ({ store, to, say, pick, words }) => {
  const filter = pick([{}, { source: to.source }, { slot: to.slot }, { partition: to.partition }]);
  const { slots, truncated } = await store.list(filter, pick([1, 100]));
  say(JSON.stringify(filter), truncated, slots.length);
  const rows = truncated ? [] : [...slots].sort((a, b) => (a.slot < b.slot ? -1 : 1));
  for (const row of rows) {
    const { slot, source, epoch, generation, expiresAtMs, remainingMs } = row;
    say(slot, source, words.epoch(row, epoch), words.generation(row, generation), expiresAtMs > 0, remainingMs > 0);
  }
};

const count: Command = async ({ store, to, known, say, pick, words }) => {
  const standing = { target: pick(WHOLE_TARGETS), partition: to.partition };
  const ended = known.revoked.flatMap(({ target, partition, floor, replaced }) =>
    target.kind === 'slot' ? [] : [{ target, partition, above: replaced, upTo: floor }],
  );
  const request = pick([standing, ...ended.slice(-4)]);
  const { bySource } = await store.count(request, undefined);
  say(words.target(request.target), request !== standing, JSON.stringify([...bySource].sort()));
};

const generations: Command = async ({ store, say, words }) => {
  const replies = await store.generations(EVERY_ADDRESS);
  for (const [i, address] of EVERY_ADDRESS.entries())
    say(words.generation(address, replies[i]?.generation ?? -1), words.asOf(address, replies[i]?.asOf));
};

const present: Command = async ({ store, say, pick, lifeMs, maybeTwice }) => {
  const [caller, instance] = [pick(['orders', 'payments']), pick(['i1', 'i2'])];
  const ttlMs = pick([0, lifeMs(), LONG_MS]);
  await maybeTwice(() => store.present(caller, instance, ttlMs));
  const near = (await store.presences()).map((row) => `${row.caller}/${row.instance} ${String(row.untilMs > 0)}`);
  say(caller, instance, ttlMs, ...near.sort());
};

/** What a broker does to know what the others do, and who is there. */
export const WATCHING = { lease, tail, leave, scan, list, count, generations, present };
