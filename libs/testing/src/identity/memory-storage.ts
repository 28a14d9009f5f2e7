/** What the provider stores of a token, a grant or a session. */
interface Payload {
  grantId?: string;
  uid?: string;
  consumed?: number;
  [name: string]: unknown;
}

/** The storage port of `oidc-provider`: one instance for each kind of thing that it keeps. */
export interface StorageAdapter {
  upsert(id: string, payload: Payload): Promise<void>;
  find(id: string): Promise<Payload | undefined>;
  findByUid(uid: string): Promise<Payload | undefined>;
  findByUserCode(userCode: string): Promise<undefined>;
  consume(id: string): Promise<void>;
  destroy(id: string): Promise<void>;
  revokeByGrantId(grantId: string): Promise<void>;
}

/** A load test issues tokens without end; nobody asks for the oldest again. */
const MOST_ENTRIES = 50_000;

/**
 * Keeps all in memory, apart from every other provider of this process.
 *
 * @param refreshGraceMs how long a refresh token that was spent is still taken, as providers do that forgive a lost
 *   reply. 0: never.
 */
export function createMemoryStorage(refreshGraceMs: number): (kind: string) => StorageAdapter {
  const entries = new Map<string, Payload>();
  const consumedAtMs = new Map<string, number>();

  return (kind) => {
    const keyOf = (id: string): string => `${kind}:${id}`;
    const find = (id: string): Promise<Payload | undefined> => {
      const payload = entries.get(keyOf(id));
      const spentAtMs = consumedAtMs.get(keyOf(id));
      if (payload === undefined || spentAtMs === undefined || kind !== 'RefreshToken') return Promise.resolve(payload);
      if (performance.now() - spentAtMs >= refreshGraceMs) return Promise.resolve(payload);
      const { consumed: _, ...unspent } = payload;
      return Promise.resolve(unspent);
    };
    return {
      find,
      upsert: (id, payload) => {
        entries.set(keyOf(id), payload);
        const oldest = entries.keys().next().value;
        if (entries.size > MOST_ENTRIES && oldest !== undefined) entries.delete(oldest);
        return Promise.resolve();
      },
      findByUid: (uid) =>
        Promise.resolve([...entries].find(([key, payload]) => key.startsWith(`${kind}:`) && payload.uid === uid)?.[1]),
      findByUserCode: () => Promise.resolve(undefined),
      consume: (id) => {
        const payload = entries.get(keyOf(id));
        if (payload !== undefined) {
          payload.consumed = Math.floor(Date.now() / 1000);
          if (!consumedAtMs.has(keyOf(id))) consumedAtMs.set(keyOf(id), performance.now());
        }
        return Promise.resolve();
      },
      destroy: (id) => {
        entries.delete(keyOf(id));
        consumedAtMs.delete(keyOf(id));
        return Promise.resolve();
      },
      revokeByGrantId: (grantId) => {
        for (const [key, payload] of entries) if (payload.grantId === grantId) entries.delete(key);
        return Promise.resolve();
      },
    };
  };
}
