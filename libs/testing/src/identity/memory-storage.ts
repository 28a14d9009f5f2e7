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

export interface MemoryStorageOptions {
  /**
   * How long a refresh token that was spent is still taken, as providers do that forgive a lost reply. 0: never, not even
   * where two requests spend it at the same moment.
   */
  readonly refreshGraceMs: number;
  /** Told of a spent refresh token that was spent again within the grace period. */
  readonly onForgiven: () => void;
  /** Told of one that two requests spent at the same moment, for which there is no grace; its family is gone already. */
  readonly refuseReplay: (grantId: string | undefined) => never;
}

/** A load test issues tokens without end; nobody asks for the oldest again. */
const MOST_ENTRIES = 50_000;

/** Keeps all in memory, apart from every other provider of this process. */
export function createMemoryStorage(options: MemoryStorageOptions): (kind: string) => StorageAdapter {
  const { refreshGraceMs, onForgiven, refuseReplay } = options;
  const entries = new Map<string, Payload>();
  const consumedAtMs = new Map<string, number>();

  const forget = (key: string): void => {
    entries.delete(key);
    consumedAtMs.delete(key);
  };
  const revokeFamily = (grantId: string): void => {
    for (const [key, payload] of entries) if (payload.grantId === grantId) forget(key);
  };
  const isForgiven = (spentAtMs: number): boolean => performance.now() - spentAtMs < refreshGraceMs;

  return (kind) => {
    const keyOf = (id: string): string => `${kind}:${id}`;
    const find = (id: string): Promise<Payload | undefined> => {
      const payload = entries.get(keyOf(id));
      const spentAtMs = consumedAtMs.get(keyOf(id));
      if (payload === undefined || spentAtMs === undefined || kind !== 'RefreshToken') return Promise.resolve(payload);
      if (!isForgiven(spentAtMs)) return Promise.resolve(payload);
      const { consumed: _, ...unspent } = payload;
      return Promise.resolve(unspent);
    };
    const consume = (id: string): void => {
      const payload = entries.get(keyOf(id));
      if (payload === undefined) return;
      const spentAtMs = consumedAtMs.get(keyOf(id));
      payload.consumed = Math.floor(Date.now() / 1000);
      if (spentAtMs === undefined) consumedAtMs.set(keyOf(id), performance.now());
      else if (kind === 'RefreshToken' && isForgiven(spentAtMs)) onForgiven();
      else if (kind === 'RefreshToken') {
        // The provider looks first and spends then; in between another request may have spent it.
        if (payload.grantId !== undefined) revokeFamily(payload.grantId);
        refuseReplay(payload.grantId);
      }
    };
    return {
      find,
      upsert: (id, payload) => {
        entries.set(keyOf(id), payload);
        const oldest = entries.keys().next().value;
        if (entries.size > MOST_ENTRIES && oldest !== undefined) forget(oldest);
        return Promise.resolve();
      },
      findByUid: (uid) =>
        Promise.resolve([...entries].find(([key, payload]) => key.startsWith(`${kind}:`) && payload.uid === uid)?.[1]),
      findByUserCode: () => Promise.resolve(undefined),
      consume: (id) =>
        new Promise((resolve) => {
          consume(id);
          resolve();
        }),
      destroy: (id) => {
        forget(keyOf(id));
        return Promise.resolve();
      },
      revokeByGrantId: (grantId) => {
        revokeFamily(grantId);
        return Promise.resolve();
      },
    };
  };
}
