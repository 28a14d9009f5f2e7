import { SeededRandom, VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBed, type Bed } from './fakes/bed.js';
import type { SourceHandle } from './handle.js';
import { passwordOf } from './password.js';

let clock: VirtualClock;
let bed: Bed;
let handle: SourceHandle;
let told: string[];

beforeEach(() => {
  clock = new VirtualClock();
  bed = createBed(clock, new SeededRandom(17), { refetchOnRevoke: false });
  bed.server.username = 'app-blue';
  handle = bed.broker.source('payments');
  told = [];
  handle.on('refreshed', () => told.push('refreshed'));
  handle.on('usernameChanged', ({ before, token }) => {
    told.push(`${before ?? 'nobody'} -> ${token.username ?? 'nobody'}`);
  });
});

afterEach(async () => {
  await bed.close();
});

async function push(username: string | undefined): Promise<void> {
  bed.server.username = username;
  bed.server.issue('payments', bed.slot);
  bed.server.publishRefreshed(bed.server.refreshedEvent(bed.slot));
  await clock.advance(5);
}

describe('the user name of a credential', () => {
  it('comes with the reply, and with the push', async () => {
    expect((await bed.during(handle.get(), 2)).username).toBe('app-blue');
    await push('app-blue');
    expect(handle.current?.username).toBe('app-blue');
    expect(bed.server.gets).toHaveLength(1);
  });

  it('is undefined where there is none, as with most tokens', async () => {
    bed.server.username = undefined;
    expect((await bed.during(handle.get(), 2)).username).toBeUndefined();
    await push(undefined);
    expect(told).toEqual(['refreshed']);
  });
});

describe('a change of the user name (L3)', () => {
  beforeEach(async () => {
    await bed.during(handle.get(), 2);
  });

  it('is told after the token that brought it, and not with the first one or one of the same user', async () => {
    expect(told).toEqual([]);
    await push('app-blue');
    await push('app-green');
    expect(told).toEqual(['refreshed', 'refreshed', 'app-blue -> app-green']);
  });

  it('is told when the name comes or goes', async () => {
    await push(undefined);
    await push('app-blue');
    expect(told).toEqual(['refreshed', 'app-blue -> nobody', 'refreshed', 'nobody -> app-blue']);
  });

  it('is told also when the credential of the former user was revoked in between', async () => {
    const change = bed.server.revoke(bed.slot);
    bed.server.publishInvalidation([change]);
    await clock.advance(5);
    expect(handle.current).toBeUndefined();
    bed.server.username = 'app-green';
    await bed.during(handle.get(), 5);
    expect(told).toEqual(['refreshed', 'app-blue -> app-green']);
  });

  it('is told when a broker without Redis answers, whose credential is used once', async () => {
    const change = bed.server.revoke(bed.slot);
    bed.server.publishInvalidation([change]);
    await clock.advance(5);
    bed.server.username = 'app-green';
    bed.server.tamper = (reply) => ({ ...reply, verified: false });
    expect((await bed.during(handle.get(), 5)).verified).toBe(false);
    expect(told).toEqual(['app-blue -> app-green']);
  });

  it('is told also when the slot was pushed out of the near cache in between', async () => {
    const small = createBed(clock, new SeededRandom(19), { maxEntries: 1 });
    small.server.username = 'app-blue';
    const kept = small.broker.source('payments');
    kept.on('usernameChanged', ({ token }) => told.push(token.username ?? 'nobody'));
    await small.during(kept.get(), 2);
    await small.during(small.broker.source('ledger').get(), 2);
    small.server.username = 'app-green';
    small.server.issue('payments', small.slot);
    await small.during(kept.get(), 2);
    expect(told).toEqual(['app-green']);
    await small.close();
  });
});

describe('a password for a driver', () => {
  it('is that of the credential that counts when a connection is opened', async () => {
    const password = passwordOf(handle);
    const first = await bed.during(password({ user: 'app-blue' }), 2);
    expect(first).toBe(handle.current?.accessToken);
    await push('app-blue');
    expect(await password({ user: 'app-blue' })).toBe(handle.current?.accessToken);
    expect(await password({ user: 'app-blue' })).not.toBe(first);
    expect(bed.server.gets).toHaveLength(1);
  });

  it('is no other user’s than the one who opens the connection, as far as both are known', async () => {
    const password = passwordOf(handle);
    await bed.during(password(), 2);
    await push('app-green');
    await expect(password({ user: 'app-blue' })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: 'the credential of "payments" is of the user "app-green", and "app-blue" opens the connection',
    });
    expect(await password({ user: 'app-green' })).toBe(handle.current?.accessToken);
    expect(await password({})).toBe(handle.current?.accessToken);
    expect(await password()).toBe(handle.current?.accessToken);
    await push(undefined);
    expect(await password({ user: 'app-blue' })).toBe(handle.current?.accessToken);
  });

  it('fails as the handle does', async () => {
    await bed.broker.close();
    await expect(passwordOf(handle)()).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
