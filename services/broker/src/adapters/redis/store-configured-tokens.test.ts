import { expect, it } from 'vitest';
import type { Store } from '../../app/ports/store.js';
import { createStore, onBothStores } from './fakes/store-beds.js';
import { address, commitOf, go } from './fakes/store-commands.js';

const SOURCE = { kind: 'source', source: address.source } as const;

/** Fetches it, under the policy that is in force. */
async function commit(store: Store, attempt: string, tokenHash: string, isConfigured = true): Promise<string> {
  const read = await store.read(address, 0);
  const floor = read.kind === 'miss' ? read.floor : 0;
  const reserved = await go(store, attempt, { floor, policy: 9 });
  const { kind } = await store.commit(commitOf(reserved, attempt, { tokenHash, isConfigured, policy: 9 }));
  if (kind !== 'ok') await store.abandon(address, attempt);
  return kind;
}

onBothStores(() => {
  it('refuses a configured token that an operator has revoked, for as long as nobody changes the source', async () => {
    const store = createStore();
    expect(await commit(store, 'a1', 'one')).toBe('ok');
    await store.revoke(SOURCE, address.partition, 'r1');
    expect(await commit(store, 'a2', 'one')).toBe('replayed');
    await store.revoke({ kind: 'source', source: 'another' }, address.partition, 'r2', 2);
    expect(await commit(store, 'a3', 'one')).toBe('replayed');
    await store.revoke(SOURCE, address.partition, 'r3', 3);
    expect(await commit(store, 'a4', 'one')).toBe('ok');
  });

  it('takes a configured token again after a change of the source, and after that was taken back', async () => {
    const store = createStore();
    expect(await commit(store, 'a1', 'one')).toBe('ok');
    await store.revoke(SOURCE, address.partition, 'r1', 1);
    expect(await commit(store, 'a2', 'two')).toBe('ok');
    await store.revoke(SOURCE, address.partition, 'r2', 2);
    expect(await commit(store, 'a3', 'one')).toBe('ok');
  });

  it('refuses any other token also then: its provider may cache what was revoked', async () => {
    const store = createStore();
    expect(await commit(store, 'a1', 'one', false)).toBe('ok');
    await store.revoke(SOURCE, address.partition, 'r1', 1);
    expect(await commit(store, 'a2', 'one', false)).toBe('replayed');
  });
});
