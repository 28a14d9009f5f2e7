import { expect } from 'vitest';
import { bytes, CHANGED, partitionOf, SOURCES, TARGETS, text } from './cast.js';
import type { Command } from './scene.js';

/** In microseconds: beyond all that was claimed. */
const FUTURE = 3_600_000_000;

const revoke: Command = async ({ store, to, known, step, say, pick, maybeTwice, words }) => {
  const target = pick([...TARGETS, CHANGED, CHANGED]);
  const partition = partitionOf(target) ?? to.partition;
  const id = `${pick(['one', 'two'])} ${words.target(target)} ${String(step >> 3)}`;
  const changed = pick([undefined, ...known.versions]);
  const { generation, floor: heardFloor } = known.heardOf(partition);
  const upTo = pick([undefined, undefined, generation, heardFloor, generation + FUTURE]);
  const reply = await maybeTwice(
    () => store.revoke(target, partition, id, changed, upTo),
    (first, again) => {
      expect([again.floor, again.vseq, again.replaced]).toEqual([first.floor, first.vseq, first.replaced]);
    },
  );
  known.revoked.push({ target, partition, floor: reply.floor, replaced: reply.replaced });
  say(words.target(target), words.generation(reply, reply.floor), reply.vseq, [...reply.brokers].sort().join(','));
  say(reply.epochBeganMs <= reply.asOf.redisMs, words.asOf(reply, reply.asOf));
};

const confirm: Command = async ({ store, known, say, pick, integer, words }) => {
  const { target, partition, floor } = pick([
    ...known.revoked,
    { target: CHANGED, partition: 1, floor: 1, replaced: 0 },
  ]);
  const { epoch } = known.heardOf(partition);
  say(words.target(target), await store.confirm(target, partition, epoch, floor + integer(2)));
};

const pause: Command = async ({ store, say, pick, integer, maybeTwice }) => {
  const [source, paused] = [pick(SOURCES), integer(3) === 0];
  const { changed, sinceMs } = await maybeTwice(
    () => store.pause(source, paused),
    (first, again) => {
      expect(again).toEqual({ changed: false, sinceMs: first.sinceMs });
    },
  );
  say(source, paused, changed, sinceMs !== undefined);
};

const policy: Command = async ({ store, policy, known, say, pick, maybeTwice, words }) => {
  const fingerprint = pick(['one', 'two', 'three']);
  const version = await maybeTwice(
    () => store.registerPolicy(fingerprint),
    (first, again) => {
      expect(again).toBe(first);
    },
  );
  known.versions = [version, version, policy];
  say(fingerprint, words.policy(version));
};

const recipe: Command = async ({ store, say, pick, maybeTwice }) => {
  const [source, recipe] = [pick(SOURCES), pick([undefined, 'r1', 'r2'])];
  await maybeTwice(() => store.noteRecipe(source, recipe));
  say(JSON.stringify([...(await store.recipes())].sort()));
};

const secret: Command = async ({ store, known, step, say, pick, integer, maybeTwice }) => {
  const name = pick(['one', 'two']);
  const value = bytes(`secret ${String(step)}`);
  if (integer(3) === 0) await maybeTwice(() => store.replaceSharedSecret(name, value));
  const secret = await maybeTwice(
    () => store.sharedSecret(name, value),
    (first, again) => {
      expect(text(again)).toBe(text(first));
    },
  );
  known.secrets.add(name);
  say(name, text(secret));
};

/** What operators and configurations decide. */
export const RULING = { revoke, confirm, pause, policy, recipe, secret };
