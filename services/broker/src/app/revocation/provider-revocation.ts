import { within, type Clock, type Random } from '@token-broker/foundation';
import type { RevokeReply } from '@token-broker/protocol';
import type { Store } from '../ports/store.js';
import type { RecordCodec } from '../tokens/record-codec.js';
import type { Source, Sources } from '../sources/sources.js';
import type { FoundSlot } from './selection.js';
import { revocableOf, takeBack, type Revocable, type TakenBack } from '../upstream/take-back.js';

/** No more tokens of one revocation are taken back at their identity providers. */
const MOST_TOKENS = 10_000;
/** Reads of Redis under way at once. */
const READS_AT_ONCE = 100;
/** Requests to identity providers under way at once. */
const REQUESTS_AT_ONCE = 8;

export interface ProviderRevocationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly sources: Sources;
  readonly codec: RecordCodec;
}

/** Tokens that a revocation is about to kill, read while they can still be read. */
export interface DoomedToken extends Revocable {
  readonly source: Source;
}

export interface Doomed {
  readonly tokens: readonly DoomedToken[];
  /** How many more count, and cannot be taken back: beyond the most, of a source that is gone, or not to be opened here. */
  readonly outOfReach: number;
}

/** The tokens of these slots. One that is fetched between this and the revocation dies here, and is not taken back there. */
export async function doomedTokens(
  { store, sources, codec }: ProviderRevocationPorts,
  found: readonly FoundSlot[],
): Promise<Doomed> {
  const slots = found.slice(0, MOST_TOKENS);
  const tokens: DoomedToken[] = [];
  for (let i = 0; i < slots.length; i += READS_AT_ONCE) {
    const reads = slots.slice(i, i + READS_AT_ONCE).map(async ({ slot, source: name }): Promise<DoomedToken[]> => {
      const source = sources.source(name);
      if (source === undefined) return [];
      const address = sources.addressOfSlot(source, slot);
      const read = await store.read(address, sources.current.policy);
      const content = read.kind === 'hit' ? codec.open(address, read) : undefined;
      if (content?.ok !== true) return [];
      return [{ source, ...revocableOf(content.value) }];
    });
    tokens.push(...(await Promise.all(reads)).flat());
  }
  return { tokens, outOfReach: found.length - tokens.length };
}

/**
 * Takes tokens back at their identity providers, after they have died here. What is not done within `limitMs` counts as
 * failed, and goes on.
 */
export async function takeAllBack(
  { clock, random }: Pick<ProviderRevocationPorts, 'clock' | 'random'>,
  { tokens, outOfReach }: Doomed,
  limitMs: number,
): Promise<NonNullable<RevokeReply['provider']>> {
  const counts: Record<TakenBack, number> = { revoked: 0, unsupported: 0, failed: 0 };
  const waiting = [...tokens];
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
      counts[await takeBack({ clock, random }, next.source.provider, next)]++;
  };
  await within(clock, limitMs, Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, work)));
  const { revoked, unsupported } = counts;
  const asked = tokens.length + outOfReach;
  return { asked, revoked, unsupported, failed: asked - revoked - unsupported };
}
