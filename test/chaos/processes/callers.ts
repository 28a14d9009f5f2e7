import type { Token, TokenBroker } from '@token-broker/client';
import { createSystemClock } from '@token-broker/foundation';
import type { NatsConnection } from 'nats';
import { ask } from '../../integration/asking.js';
import type { Stack } from '../../integration/stack.js';

const clock = createSystemClock();

/** How one call of a client ended. */
export interface Ended {
  readonly token?: Token;
  readonly error?: unknown;
  readonly tookMs: number;
}

/** Clients with a near cache each, which nobody has asked for a token yet. */
export function coldClients(stack: Stack, count: number, requestTimeoutMs: number): Promise<TokenBroker[]> {
  return Promise.all(
    Array.from({ length: count }, () => stack.client('orders', { requestTimeoutMs, refetchOnRevoke: false })),
  );
}

/** One call, timed; it never rejects. */
export async function timedGet(client: TokenBroker, source: string): Promise<Ended> {
  const startedAtMs = clock.elapsedMs();
  try {
    const token = await client.source(source).get();
    return { token, tookMs: clock.elapsedMs() - startedAtMs };
  } catch (error) {
    return { error, tookMs: clock.elapsedMs() - startedAtMs };
  }
}

export function slowestMs(ended: readonly Ended[]): number {
  return Math.max(...ended.map(({ tookMs }) => tookMs));
}

/** The tokens that were handed out, each once. Fails with the first error of a call that got none. */
export function tokensOf(ended: readonly Ended[]): string[] {
  return [
    ...new Set(
      ended.map(({ token, error }) => {
        if (token === undefined) throw error;
        return token.accessToken;
      }),
    ),
  ];
}

/** Requests without a near cache, at once, of which any replica may get any: the access token, or the error's text, of each. */
export function answersTo(
  connection: NatsConnection,
  source: string,
  count: number,
  caller = 'orders',
): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, () =>
      ask(connection, caller, source).then(
        ({ accessToken }) => accessToken,
        (error: unknown) => String(error),
      ),
    ),
  );
}
