/**
 * How each library is told to fetch a token once for many, with Redis behind it where it can: as its documentation has it. Each
 * gives back what a service would call with the key of a token.
 */

const LIFE_MS = 3_600_000;
/** Longer than the identity provider takes. */
const LOCK_MS = 5_000;
/** How often a lock is tried for, and how long is waited in between: the defaults of redlock. */
const RETRY = { retryCount: 100, retryDelay: 200, retryJitter: 100 };

const load = (/** @type {string} */ name) => import(name);

/** @param {string} url */
async function connectRedis(url) {
  const { Redis } = await load('ioredis');
  return new Redis(url);
}

/** @typedef {{ redisUrl: string, fetchToken: () => Promise<string> }} Surroundings */

/** @type {Record<string, (at: Surroundings) => Promise<(key: string) => Promise<string>>>} */
export const makers = {
  async bentocache({ redisUrl, fetchToken }) {
    const { BentoCache, bentostore } = await load('bentocache');
    const { memoryDriver } = await load('bentocache/drivers/memory');
    const { redisDriver, redisBusDriver } = await load('bentocache/drivers/redis');
    const connection = { host: new URL(redisUrl).hostname, port: Number(new URL(redisUrl).port) };
    const store = bentostore()
      .useL1Layer(memoryDriver({ maxItems: 1_000 }))
      .useL2Layer(redisDriver({ connection }))
      .useBus(redisBusDriver({ connection }));
    const cache = new BentoCache({ default: 'tokens', stores: { tokens: store } });
    return (key) => cache.getOrSet({ key, ttl: LIFE_MS, factory: fetchToken });
  },
  async 'layered-loader'({ redisUrl, fetchToken }) {
    const { Loader, RedisCache } = await load('layered-loader');
    const loader = new Loader({
      inMemoryCache: { cacheType: 'lru-object', ttlInMsecs: LIFE_MS, maxItems: 1_000 },
      asyncCache: new RedisCache(await connectRedis(redisUrl), { prefix: 'layered', ttlInMsecs: LIFE_MS }),
      dataSources: [{ name: 'identity provider', get: fetchToken, getMany: async () => [await fetchToken()] }],
    });
    return (key) => loader.get(key);
  },
  async 'async-cache-dedupe'({ redisUrl, fetchToken }) {
    const { createCache } = await load('async-cache-dedupe');
    const client = await connectRedis(redisUrl);
    const cache = createCache({ ttl: LIFE_MS / 1_000, storage: { type: 'redis', options: { client } } });
    cache.define('token', fetchToken);
    return (key) => cache.token(key);
  },
  async cacheable({ fetchToken }) {
    const { Cacheable } = await load('cacheable');
    const cache = new Cacheable({ ttl: LIFE_MS });
    return (key) => cache.getOrSet(key, fetchToken, { ttl: LIFE_MS });
  },
  async 'redlock loop'({ redisUrl, fetchToken }) {
    const { default: Redlock } = await load('redlock');
    const redis = await connectRedis(redisUrl);
    const redlock = new Redlock([redis], RETRY);
    return (key) =>
      underLock(redis, key, fetchToken, async () => {
        const lock = await redlock.lock(`lock:${key}`, LOCK_MS);
        return () => lock.unlock();
      });
  },
  async 'redis-semaphore'({ redisUrl, fetchToken }) {
    const { Mutex } = await load('redis-semaphore');
    const redis = await connectRedis(redisUrl);
    return (key) =>
      underLock(redis, key, fetchToken, async () => {
        const mutex = new Mutex(redis, `lock:${key}`, { lockTimeout: LOCK_MS, acquireTimeout: 60_000 });
        await mutex.acquire();
        return () => mutex.release();
      });
  },
};

/**
 * The loop that everybody writes: look, lock, look again, fetch, store.
 *
 * @param {any} redis
 * @param {string} key
 * @param {() => Promise<string>} fetchToken
 * @param {() => Promise<() => Promise<unknown>>} acquire
 */
async function underLock(redis, key, fetchToken, acquire) {
  const held = await redis.get(`token:${key}`);
  if (held !== null) return held;
  const release = await acquire();
  try {
    const stored = await redis.get(`token:${key}`);
    if (stored !== null) return stored;
    const token = await fetchToken();
    await redis.set(`token:${key}`, token, 'PX', LIFE_MS);
    return token;
  } finally {
    await release();
  }
}
