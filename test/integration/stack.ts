import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker, type RunningBroker } from '@token-broker/broker';
import { createTokenBroker, type TokenBroker, type TokenBrokerOptions } from '@token-broker/client';
import { createOperator, type Operator } from '@token-broker/client/operator';
import { formatProblems, loadConfiguration, natsPermissions, type Configuration } from '@token-broker/configuration';
import { systemRandom } from '@token-broker/foundation';
import {
  eventually,
  startIdentityProvider,
  startNats,
  startRedis,
  type IdentityClient,
  type IdentityProvider,
  type IdentityProviderOptions,
  type NatsOptions,
  type NatsServer,
  type NatsUser,
  type RedisServer,
} from '@token-broker/testing';
import { connect, type NatsConnection } from 'nats';
import { stringify } from 'yaml';

const random = (bytes: number): Buffer => Buffer.from(systemRandom.bytes(bytes));

/** A throw-away secret: it must be found nowhere. */
export const CLIENT_SECRET = `canary-secret-${random(12).toString('hex')}`;
/** Of every NATS user. */
export const PASSWORD = random(12).toString('hex');
const KEY = random(32).toString('base64');
export const CLIENT_ID = 'payments';

/** The configuration's YAML as an object; parts may be replaced by a test. */
export type Settings = Record<string, unknown>;

export interface StackOptions {
  readonly brokers?: number;
  /** Life of a token, in seconds. Default 600. */
  readonly tokenLifeSeconds?: number | ((clientId: string) => number);
  readonly tokenTransform?: (accessToken: string) => string;
  /** Clients of the identity provider, beside the one of {@link CLIENT_ID}. */
  readonly clients?: readonly IdentityClient[];
  /** What else is to be different about the identity provider. */
  readonly identity?: Omit<IdentityProviderOptions, 'clients' | 'tokenLifeSeconds' | 'tokenTransform'>;
  /** Further lines of the NATS server's configuration. */
  readonly nats?: NatsOptions['configText'];
  /** Changes the settings before they are written. */
  readonly configure?: (settings: Settings, idp: IdentityProvider) => Settings;
}

/** Everything that a deployment has, as real servers on loopback, with the brokers in this process. */
export interface Stack {
  readonly nats: NatsServer;
  readonly redis: RedisServer;
  readonly idp: IdentityProvider;
  readonly brokers: RunningBroker[];
  readonly configurationPath: string;
  /** Lines that the brokers have logged. */
  readonly logLines: string[];
  /** Token requests that the identity provider has counted. */
  idpCalls(): number;
  addBroker(): Promise<RunningBroker>;
  connectAs(user: string): Promise<NatsConnection>;
  client(caller: string, options?: Partial<TokenBrokerOptions>): Promise<TokenBroker>;
  operator(): Promise<Operator>;
  /** Changes the NATS server's users, also those that later settings give. Connections stay, unless their user goes. */
  changeNatsUsers(change: (users: readonly NatsUser[]) => readonly NatsUser[]): Promise<void>;
  /** Writes other settings into the file of all brokers; they are read on reload. */
  rewrite(configure: (settings: Settings) => Settings): Promise<void>;
  /** Changes settings of one source, and has every broker of this process reload. */
  changeSource(name: string, change: Settings): Promise<void>;
  metrics(broker?: number): Promise<string>;
  stop(): Promise<void>;
}

function baseSettings(idp: IdentityProvider, nats: string, redis: string): Settings {
  return {
    namespace: 'test',
    nats: {
      servers: [nats],
      user: 'broker',
      password: PASSWORD,
      events: { user: 'broker-events', password: PASSWORD },
    },
    redis: { url: redis },
    encryption: { keys: [{ id: 'k1', secret: KEY }] },
    http: { listen: '127.0.0.1:0' },
    cluster: { tick: '200ms', minLifetime: '1s', maxStaleness: '5s' },
    sources: {
      'payments-api': sourceSettings(idp),
      'orders-api': sourceSettings(idp),
    },
    callers: {
      orders: { sources: ['payments-api'] },
      billing: { sources: ['payments-api', 'orders-api'] },
      ops: { sources: ['*'], admin: true },
    },
  };
}

export function sourceSettings(idp: IdentityProvider, change: Settings = {}): Settings {
  return {
    provider: 'oauth2',
    grant: 'client_credentials',
    issuer: idp.issuer,
    allowInsecureHttp: true,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    scope: 'payments:read payments:write',
    ...change,
  };
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const {
    brokers: replicas = 3,
    tokenLifeSeconds = 600,
    tokenTransform,
    clients = [],
    identity,
    configure,
    nats: natsText,
  } = options;
  const folder = await mkdtemp(join(tmpdir(), 'token-broker-test-'));
  const redis = await startRedis();
  const idp = await startIdentityProvider({
    clients: [
      {
        clientId: CLIENT_ID,
        clientSecret: CLIENT_SECRET,
        clientAuthentication: 'client_secret_basic',
        scopes: ['payments:read', 'payments:write'],
      },
      ...clients,
    ],
    ...identity,
    tokenLifeSeconds,
    ...(tokenTransform === undefined ? {} : { tokenTransform }),
  });
  const nats = await startNats(natsText === undefined ? {} : { configText: natsText });
  const configurationPath = join(folder, 'broker.yaml');
  let settings = baseSettings(idp, nats.url, redis.url);
  if (configure !== undefined) settings = configure(settings, idp);

  const write = async (): Promise<Configuration> => {
    await writeFile(configurationPath, stringify(settings), { mode: 0o600 });
    const loaded = await loadConfiguration(configurationPath, { env: process.env });
    if (!loaded.ok) throw new Error(formatProblems(loaded.error.problems, loaded.error.file));
    return loaded.value.configuration;
  };
  let changeUsers = (users: readonly NatsUser[]): readonly NatsUser[] => users;
  const setUsers = async (): Promise<void> => nats.setUsers(changeUsers(usersOf(await write())));
  await setUsers();

  const brokers: RunningBroker[] = [];
  const logLines: string[] = [];
  const cleanUp: (() => Promise<unknown>)[] = [];

  const stack: Stack = {
    nats,
    redis,
    idp,
    brokers,
    configurationPath,
    logLines,
    idpCalls: () => idp.counts().tokenRequests,
    async addBroker() {
      const broker = await startBroker(await write(), {
        path: configurationPath,
        env: process.env,
        writeLog: (line) => logLines.push(line),
      });
      brokers.push(broker);
      await broker.serving;
      await eventually(() => isReady(broker), { what: 'a broker to be ready' });
      return broker;
    },
    async connectAs(user) {
      const connection = await connect({ servers: nats.url, user, pass: PASSWORD, inboxPrefix: `_INBOX.${user}` });
      cleanUp.push(() => connection.close());
      return connection;
    },
    async client(caller, clientOptions = {}) {
      const connection = await stack.connectAs(caller);
      const client = createTokenBroker({ connection, caller, ...clientOptions });
      cleanUp.push(() => client.close());
      return client;
    },
    async operator() {
      return createOperator({ connection: await stack.connectAs('ops'), caller: 'ops' });
    },
    changeNatsUsers(change) {
      changeUsers = change;
      return setUsers();
    },
    async rewrite(change) {
      settings = change(settings);
      await setUsers();
    },
    async changeSource(name, change) {
      await stack.rewrite((current) => {
        const sources = current['sources'] as Readonly<Record<string, Settings>>;
        return { ...current, sources: { ...sources, [name]: { ...sources[name], ...change } } };
      });
      await Promise.all(brokers.map((broker) => broker.reload()));
    },
    async metrics(index = 0) {
      const broker = brokers[index];
      if (broker === undefined) throw new Error(`there is no broker ${String(index)}`);
      return (await fetch(`http://${broker.http.host}:${String(broker.http.port)}/metrics`)).text();
    },
    async stop() {
      for (const end of cleanUp.reverse()) await end();
      await Promise.all(brokers.map((broker) => broker.stop(1_000)));
      await Promise.all([nats.stop(), redis.stop(), idp.stop()]);
      await rm(folder, { recursive: true });
    },
  };
  for (let i = 0; i < replicas; i++) await stack.addBroker();
  return stack;
}

async function isReady(broker: RunningBroker): Promise<boolean> {
  const reply = await fetch(`http://${broker.http.host}:${String(broker.http.port)}/readyz`);
  return reply.status === 200;
}

function usersOf(configuration: Configuration): NatsUser[] {
  return natsPermissions(configuration).map(({ user, publish, subscribe }) => ({
    user,
    password: PASSWORD,
    permissions: { publish: [...publish], subscribe: [...subscribe] },
  }));
}

/** The value of a series in the Prometheus text format; the sum where several match. */
export function metricValue(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] !== name) continue;
    const has = Object.entries(labels).every(([key, value]) => (match[2] ?? '').includes(`${key}="${value}"`));
    if (has) sum += Number(match[3]);
  }
  return sum;
}
