import { createSystemClock, delay } from '@token-broker/foundation';
import { startScriptedIdentityProvider, type ScriptedReply } from '@token-broker/testing';

/** A token request, as the provider's own counter has seen it. */
export interface Arrival {
  /** When it was counted, on the provider's own clock: see {@link WatchedProvider.nowMs}. */
  readonly atMs: number;
  readonly client: string;
  readonly secret: string;
  /** The source that asks, where it names itself by the form parameter `tenant`. */
  readonly tenant: string;
  /** What the token is for; empty: the source's own. Each is a slot of its own. */
  readonly audience: string;
}

/** A token endpoint that counts by itself, and answers what a test wants. */
export interface WatchedProvider {
  readonly tokenEndpoint: string;
  /** The provider's own clock, in ms, which nobody sets. Its zero is its own. */
  nowMs(): number;
  /** What was counted so far, the oldest first. */
  readonly arrivals: readonly Arrival[];
  of(tenant: string): readonly Arrival[];
  stop(): Promise<void>;
}

export interface WatchedProviderOptions {
  /** How long a request is under way before it is counted. Default: no time. */
  readonly travelMs?: () => number;
  /** What is answered to a request that has just been counted. Default: a token of ten minutes. */
  readonly answer?: (arrival: Arrival) => ScriptedReply | Promise<ScriptedReply>;
}

const clock = createSystemClock();

export async function startWatchedProvider({
  travelMs,
  answer,
}: WatchedProviderOptions = {}): Promise<WatchedProvider> {
  const arrivals: Arrival[] = [];
  const provider = await startScriptedIdentityProvider(async ({ form }) => {
    if (travelMs !== undefined) await delay(clock, travelMs());
    const arrival = {
      atMs: clock.elapsedMs(),
      client: form['client_id'] ?? '',
      secret: form['client_secret'] ?? '',
      tenant: form['tenant'] ?? '',
      audience: form['audience'] ?? '',
    };
    arrivals.push(arrival);
    return answer?.(arrival) ?? tokenFor(arrival);
  });
  return {
    tokenEndpoint: provider.tokenEndpoint,
    nowMs: () => clock.elapsedMs(),
    arrivals,
    of: (tenant) => arrivals.filter((arrival) => arrival.tenant === tenant),
    stop: () => provider.stop(),
  };
}

let issued = 0;

/** A token that no other request is given. */
export function tokenFor({ tenant, audience }: Arrival, lifeMs = 600_000): ScriptedReply {
  issued += 1;
  const accessToken = `${tenant}.${audience}.${String(issued)}`;
  return { body: { access_token: accessToken, token_type: 'Bearer', expires_in: lifeMs / 1_000 } };
}

/** The most arrivals that any stretch of time of this length holds, its two ends included. */
export function mostInAnyWindow(arrivals: readonly Arrival[], windowMs: number): number {
  const times = arrivals.map(({ atMs }) => atMs).sort((a, b) => a - b);
  let most = 0;
  let oldest = 0;
  for (const [index, atMs] of times.entries()) {
    while (atMs - (times[oldest] ?? atMs) > windowMs) oldest += 1;
    most = Math.max(most, index - oldest + 1);
  }
  return most;
}
