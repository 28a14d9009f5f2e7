import { decode, encode, getReplySchema, LIMITS, type GetReply, type StatusReply } from '@token-broker/protocol';
import { startStack, type Settings, type Stack } from './stack.js';
import { startWatchedProvider, type WatchedProvider, type WatchedProviderOptions } from './watched-provider.js';

/** Who asks, where a test does not say: may ask for any audience of any source. */
const ANY_CALLER = 'orders';

/** How long a request and its reply may take on a loaded machine, beside what is waited for. */
export const ANSWERED_WITHIN_MS = 3_000;
/** `lockTime` of the sources, unless a test says otherwise: a call that has not ended counts for as long. */
export const LOCK_MS = 17_000;

export interface GovernedStackOptions extends WatchedProviderOptions {
  readonly brokers?: number;
  /** Each by its name, with what differs: the client is `<name>-client`, so that it has an upstream identity of its own. */
  readonly sources: Readonly<Record<string, Settings>>;
  /** Beside `orders`, and `ops`, who is an administrator. */
  readonly callers?: Settings;
  /** Beside what a stack has there anyway. */
  readonly cluster?: Settings;
  /** Sections of the configuration, as they are to be. */
  readonly sections?: Settings;
}

/** A stack whose sources all call one provider that counts by itself. */
export interface GovernedStack {
  readonly stack: Stack;
  readonly idp: WatchedProvider;
  /** One request, answered by any replica. An audience makes it a slot of its own. */
  ask(source: string, audience?: string, caller?: string): Promise<GetReply>;
  /** Changes one source's settings, and has all replicas read them. */
  change(source: string, change: Settings): Promise<void>;
  budgetOf(source: string): Promise<NonNullable<StatusReply['sources'][number]['budget']>>;
  /** The value of a series, summed over all replicas. */
  total(read: (metrics: string) => number): Promise<number>;
  stop(): Promise<void>;
}

export async function startGovernedStack(options: GovernedStackOptions): Promise<GovernedStack> {
  const { brokers = 3, sources, callers = {}, cluster = {}, sections = {}, ...watched } = options;
  const idp = await startWatchedProvider(watched);
  const anything = Object.keys(sources).map((name) => ({ name, audiences: 'any' }));
  const stack = await startStack({
    brokers,
    configure: (settings) => ({
      ...settings,
      ...sections,
      cluster: { ...(settings['cluster'] as Settings), ...cluster },
      sources: Object.fromEntries(
        Object.entries(sources).map(([name, change]) => [name, { ...ownSettings(name, idp.tokenEndpoint), ...change }]),
      ),
      callers: { [ANY_CALLER]: { sources: anything }, ...callers, ops: { sources: anything, admin: true } },
    }),
  });
  const connections = new Map<string, ReturnType<Stack['connectAs']>>();
  const connectionOf = (caller: string): ReturnType<Stack['connectAs']> => {
    const connection = connections.get(caller) ?? stack.connectAs(caller);
    connections.set(caller, connection);
    return connection;
  };
  const operator = await stack.operator();
  return {
    stack,
    idp,
    async ask(source, audience, caller = ANY_CALLER) {
      const body = audience === undefined ? undefined : encode({ audience });
      const connection = await connectionOf(caller);
      const { data } = await connection.request(`token-broker.v1.get.${caller}.${source}`, body, { timeout: 30_000 });
      const reply = decode(getReplySchema, data, LIMITS.replyBytes);
      if (!reply.ok) throw new Error(reply.error);
      return reply.value;
    },
    async change(source, change) {
      await stack.rewrite((settings) => {
        const all = settings['sources'] as Record<string, Settings>;
        return { ...settings, sources: { ...all, [source]: { ...all[source], ...change } } };
      });
      await Promise.all(stack.brokers.map((broker) => broker.reload()));
    },
    async budgetOf(source) {
      const budget = (await operator.status()).sources.find(({ name }) => name === source)?.budget;
      if (budget === undefined) throw new Error(`the status tells no budget of ${source}`);
      return budget;
    },
    async total(read) {
      const values = await Promise.all(stack.brokers.map(async (_, index) => read(await stack.metrics(index))));
      return values.reduce((sum, value) => sum + value, 0);
    },
    async stop() {
      await stack.stop();
      await idp.stop();
    },
  };
}

function ownSettings(name: string, tokenEndpoint: string): Settings {
  return {
    provider: 'oauth2',
    grant: 'client_credentials',
    tokenEndpoint,
    allowInsecureHttp: true,
    clientId: `${name}-client`,
    clientSecret: `secret-of-${name}`,
    clientAuthentication: 'client_secret_post',
    parameters: { tenant: name },
    timeout: '15s',
    lockTime: `${String(LOCK_MS)}ms`,
    refresh: { ahead: 'off' },
  };
}

/** Does it for all, but for no more than so many at once: what is timed afterwards must not wait for what is prepared. */
export async function inTurns<T, R>(all: readonly T[], atOnce: number, act: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (let from = 0; from < all.length; from += atOnce)
    done.push(...(await Promise.all(all.slice(from, from + atOnce).map(act))));
  return done;
}

export function failureIn(reply: GetReply): Extract<GetReply, { error: unknown }>['error'] | undefined {
  return 'error' in reply ? reply.error : undefined;
}
