import { delay } from '@token-broker/foundation';
import type { SourceHandle } from '@token-broker/client';
import type { GetReply } from '@token-broker/protocol';
import type { RawCaller } from '../../integration/raw-caller.js';
import { clock } from './timing.js';

/** Between two requests of one caller. */
const PAUSE_MS = 2;

/** Callers that ask again and again, until they are told to stop. */
export interface Load<T> {
  /** What was answered so far, in the order in which it came. */
  readonly seen: readonly T[];
  /** Stops, and resolves when the last request has been answered. Rejects when one was not. */
  stop(): Promise<readonly T[]>;
}

function startLoad<T>(callers: number, askOnce: () => Promise<T>): Load<T> {
  const seen: T[] = [];
  let isStopped = false;
  const one = async (): Promise<void> => {
    while (!isStopped) {
      seen.push(await askOnce());
      await delay(clock, PAUSE_MS);
    }
  };
  const all = Promise.all(Array.from({ length: callers }, one));
  // Whoever stops the load hears of it.
  all.catch(() => undefined);
  return {
    seen,
    async stop() {
      isStopped = true;
      await all;
      return seen;
    },
  };
}

/** Callers without a near cache: each asks the brokers every time. */
export function startRequests(raw: RawCaller, subject: string, callers = 8): Load<GetReply> {
  return startLoad(callers, () => raw.answer(subject));
}

/** What a caller with a near cache was handed: the token's place in time, or the code of the refusal. */
export type Handed =
  { readonly epoch: number; readonly generation: number } | { readonly code: string; readonly message: string };

/** One caller with a near cache. */
export function startGets(handle: SourceHandle): Load<Handed> {
  return startLoad(1, () =>
    handle.get({ timeoutMs: 5_000 }).then(
      ({ epoch, generation }) => ({ epoch, generation }),
      (error: unknown) => ({ message: String(error), code: String((error as { code?: unknown }).code) }),
    ),
  );
}

/** Each refusal, in words. */
export const refusalsIn = (replies: readonly (GetReply | Handed)[]): string[] =>
  replies.flatMap((reply) =>
    'error' in reply ? [`${reply.error.code}: ${reply.error.message}`] : 'code' in reply ? [reply.message] : [],
  );

export const codesOf = (replies: readonly (GetReply | Handed)[]): Set<string> =>
  new Set(replies.flatMap((reply) => ('error' in reply ? [reply.error.code] : 'code' in reply ? [reply.code] : [])));

export const generationsOf = (replies: readonly GetReply[]): Set<number> =>
  new Set(replies.flatMap((reply) => ('error' in reply ? [] : [reply.generation])));

export const tokensOf = (replies: readonly GetReply[]): Set<string> =>
  new Set(replies.flatMap((reply) => ('error' in reply ? [] : [reply.accessToken])));

/** G3: the places at which a caller was handed something older than what it had before. */
export function stepsBack(handed: readonly Handed[]): [before: Handed, after: Handed][] {
  const tokens = handed.flatMap((one) => ('code' in one ? [] : [one]));
  return tokens.flatMap((after, index): [Handed, Handed][] => {
    const before = tokens[index - 1];
    if (before === undefined) return [];
    const isOlder =
      after.epoch < before.epoch || (after.epoch === before.epoch && after.generation < before.generation);
    // Generations go on over an epoch, so that they alone tell which of two tokens is newer.
    return isOlder || after.generation < before.generation ? [[before, after]] : [];
  });
}
