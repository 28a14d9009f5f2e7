/**
 * How each library is told to hold one token, as its documentation has it, in the process alone. Each gives back what a service
 * would call for every request. Names of packages are given as values: they are installed only when peers are measured.
 */

const TOKEN = 'x'.repeat(1_100);
const LIFE_MS = 3_600_000;
const KEY = 'payments-api:payments:read payments:write';

const fetchToken = async () => TOKEN;
const load = (/** @type {string} */ name) => import(name);

/** @type {Record<string, () => Promise<() => Promise<string>>>} */
export const makers = {
  async '@smithy/property-provider memoize'() {
    const { memoize } = await load('@smithy/property-provider');
    const provider = memoize(
      async () => ({ token: TOKEN, expiration: new Date(Date.now() + LIFE_MS) }),
      (/** @type {any} */ { expiration }) => expiration.getTime() - Date.now() < 300_000,
      (/** @type {any} */ { expiration }) => expiration !== undefined,
    );
    return async () => (await provider()).token;
  },
  async 'lru-cache fetch'() {
    const { LRUCache } = await load('lru-cache');
    const cache = new LRUCache({ max: 1_000, ttl: LIFE_MS, fetchMethod: fetchToken });
    return () => cache.fetch(KEY);
  },
  async 'google-auth-library'() {
    const { OAuth2Client } = await load('google-auth-library');
    const client = new OAuth2Client();
    client.setCredentials({ access_token: TOKEN, expiry_date: Date.now() + LIFE_MS });
    return async () => (await client.getAccessToken()).token;
  },
  async 'layered-loader'() {
    const { Loader } = await load('layered-loader');
    const loader = new Loader({
      inMemoryCache: { cacheType: 'lru-object', ttlInMsecs: LIFE_MS, maxItems: 1_000 },
      dataSources: [{ name: 'identity provider', get: fetchToken, getMany: async () => [TOKEN] }],
    });
    return () => loader.get(KEY);
  },
  async 'async-cache-dedupe'() {
    const { createCache } = await load('async-cache-dedupe');
    const cache = createCache({ ttl: LIFE_MS / 1_000, storage: { type: 'memory' } });
    cache.define('token', fetchToken);
    return () => cache.token(KEY);
  },
  async bentocache() {
    const { BentoCache, bentostore } = await load('bentocache');
    const { memoryDriver } = await load('bentocache/drivers/memory');
    const store = bentostore().useL1Layer(memoryDriver({ maxItems: 1_000 }));
    const cache = new BentoCache({ default: 'tokens', stores: { tokens: store } });
    return () => cache.getOrSet({ key: KEY, ttl: LIFE_MS, factory: fetchToken });
  },
  async cacheable() {
    const { Cacheable } = await load('cacheable');
    const cache = new Cacheable({ ttl: LIFE_MS });
    return () => cache.getOrSet(KEY, fetchToken, { ttl: LIFE_MS });
  },
  async '@azure/msal-node'() {
    const { ConfidentialClientApplication } = await load('@azure/msal-node');
    const application = new ConfidentialClientApplication({
      auth: { clientId: 'payments', clientSecret: 'of no use', authority: `${MSAL_HOST}/tenant` },
      system: { networkClient: { sendGetRequestAsync: msalMetadata, sendPostRequestAsync: msalToken } },
    });
    const request = { scopes: ['https://payments.example.com/.default'] };
    return async () => (await application.acquireTokenByClientCredential(request)).accessToken;
  },
};

const MSAL_HOST = 'https://login.microsoftonline.com';

/** What the library asks for before its first token. */
async function msalMetadata(/** @type {string} */ url) {
  const discovery = {
    tenant_discovery_endpoint: `${MSAL_HOST}/tenant/v2.0/.well-known/openid-configuration`,
    metadata: [],
    'api-version': '1.1',
  };
  const configuration = {
    issuer: `${MSAL_HOST}/tenant/v2.0`,
    authorization_endpoint: `${MSAL_HOST}/tenant/oauth2/v2.0/authorize`,
    token_endpoint: `${MSAL_HOST}/tenant/oauth2/v2.0/token`,
    jwks_uri: `${MSAL_HOST}/tenant/discovery/v2.0/keys`,
  };
  return { status: 200, headers: {}, body: url.includes('discovery/instance') ? discovery : configuration };
}

async function msalToken() {
  const body = {
    token_type: 'Bearer',
    expires_in: LIFE_MS / 1_000,
    ext_expires_in: LIFE_MS / 1_000,
    access_token: TOKEN,
  };
  return { status: 200, headers: {}, body };
}
