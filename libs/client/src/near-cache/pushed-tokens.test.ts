import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createAesGcm, systemRandom, type Aead } from '@token-broker/foundation';
import { encode, pushAdditionalData, type RefreshedEvent } from '@token-broker/protocol';
import { eventually } from '@token-broker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { openPush, rememberPush } from './pushed-tokens.js';
import type { ChannelKey } from './slot-state.js';

const SLOT = 'A'.repeat(22);
const gcm = createAesGcm(systemRandom);

let opened: number;
const counting: Aead = {
  seal: (...parts) => gcm.seal(...parts),
  open(...parts) {
    opened++;
    return gcm.open(...parts);
  },
};

function channelOf(version: number): ChannelKey {
  return { version, key: Buffer.from(systemRandom.bytes(32)).toString('base64url') };
}

function eventWith({ version, key }: ChannelKey, accessToken: string): RefreshedEvent {
  const bound = pushAdditionalData({ slot: SLOT, epoch: 1, generation: 2, channelVersion: version });
  const plain = encode({ accessToken, tokenType: 'Bearer' });
  const sealed = Buffer.from(gcm.seal(Buffer.from(key, 'base64url'), plain, bound)).toString('base64url');
  return {
    ...({ v: 1, kind: 'refreshed', source: 'payments', slot: SLOT, partition: 0, epoch: 1, generation: 2 } as const),
    ...{ asOf: 0, expiresAtMs: 1, lifeMs: 1, push: { channelVersion: version, sealed } },
  };
}

/** As a near cache does it that holds the token from then on. */
function take(channel: ChannelKey, event: RefreshedEvent): void {
  const token = openPush(counting, channel, event);
  if (token === undefined) throw new Error('it does not open');
  rememberPush(channel, event, token);
}

beforeEach(() => {
  opened = 0;
});

describe('a pushed token', () => {
  it('is decrypted once for all near caches that hear the same event with the same key', () => {
    const channel = channelOf(1);
    const event = eventWith(channel, 'new');
    take(channel, event);
    const others = Array.from({ length: 100 }, () => openPush(counting, { ...channel }, event));
    expect(new Set(others.map((each) => each?.accessToken))).toEqual(new Set(['new']));
    expect(opened).toBe(1);
  });

  it('is not given to whoever has another key, though it was opened already', () => {
    const channel = channelOf(1);
    const event = eventWith(channel, 'new');
    take(channel, event);
    expect(openPush(counting, channelOf(1), event)).toBeUndefined();
    expect(openPush(counting, { ...channel, version: 2 }, event)).toBeUndefined();
    expect(openPush(counting, undefined, event)).toBeUndefined();
  });

  it('is that of its own event', () => {
    const channel = channelOf(1);
    const [one, other] = [eventWith(channel, 'one'), eventWith(channel, 'other')];
    take(channel, one);
    expect(openPush(counting, channel, other)?.accessToken).toBe('other');
    expect(openPush(counting, channel, one)?.accessToken).toBe('one');
    expect(opened).toBe(2);
  });

  it('is kept by nobody once all near caches have dropped it', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const channel = channelOf(1);
    const event = eventWith(channel, 'new');
    take(channel, event);
    // What was looked at in one turn of the event loop is kept until its end.
    await eventually(
      () => {
        collect();
        return openPush(counting, channel, event)?.accessToken === 'new' && opened > 1;
      },
      { what: 'the token to be forgotten' },
    );
  });
});
