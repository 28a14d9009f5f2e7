import { randomId, type Clock, type Random, type Redacted } from '@token-broker/foundation';
import { tokenHashOf } from '../../domain/recipe.js';
import type { Keyring, UnsealFailure } from '../tokens/keyring.js';
import { OwedWrites } from './owed-writes.js';
import type {
  JournalAddress,
  JournalEntry,
  JournalState,
  RefreshTokenJournal,
  SeedReply,
  SpendReply,
} from '../ports/refresh-token-journal.js';
import { StoreError } from '../ports/store.js';
import type { Log } from '../ports/telemetry.js';
import { RefreshTokenCodec } from '../tokens/refresh-token-codec.js';
import { sendUntilAnswered } from './send-until-answered.js';

export interface RefreshTokensPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly journal: RefreshTokenJournal;
  readonly keyring: Keyring;
  readonly log: Log;
  /** Keys the hashes by which seeds are known again. */
  readonly recipeKey: () => Uint8Array;
}

/** Of a `Source`: what names its line of refresh tokens. */
export interface RefreshTokenSource {
  readonly configuration: { readonly name: string };
  readonly upstream: string;
}

/** Which token was spent. Its outcome is told with it, so that it changes nothing that came later. */
export type Spent = Pick<JournalEntry, 'family' | 'sequence'>;

export type Spend =
  /** To be sent to the provider once, by a call that ends within `callMs` from when this was asked for. */
  | { readonly kind: 'spend'; readonly token: Redacted; readonly spent: Spent }
  | Exclude<SpendReply, { readonly kind: 'spend' }>
  /** This replica cannot open it; another may. */
  | { readonly kind: 'unreadable'; readonly why: UnsealFailure };

/**
 * Refresh tokens that are spent once across all replicas. Whoever was given one by {@link spend} tells its outcome by
 * exactly one of {@link succeed}, {@link keep}, {@link release} and {@link exhaust}, with the same attempt. An attempt is one
 * call of the provider. Rejections are `StoreError`s; no token is in any of them.
 */
export class RefreshTokens {
  readonly #ports: RefreshTokensPorts;
  readonly #codec: RefreshTokenCodec;
  readonly #owed: OwedWrites;

  constructor(ports: RefreshTokensPorts, namespace: string) {
    this.#ports = ports;
    this.#codec = new RefreshTokenCodec(ports.keyring, namespace);
    this.#owed = new OwedWrites(ports.clock);
  }

  /** @param callMs how long the provider may take at most; others wait so long for the outcome */
  async spend(source: RefreshTokenSource, attempt: string, callMs: number): Promise<Spend> {
    const { clock, journal, log } = this.#ports;
    const address = addressOf(source);
    const askedAtMs = clock.elapsedMs();
    const reply = await sendUntilAnswered(clock, () => journal.spend(address, attempt, callMs));
    if (reply.kind !== 'spend') return reply;
    const { family, sequence } = reply.entry;
    // Suspended until its time was over: by now another may be spending it.
    if (clock.elapsedMs() - askedAtMs >= callMs) {
      await this.release(source, attempt);
      return { kind: 'busy', remainingMs: 0 };
    }
    const opened = this.#codec.open(address, reply.entry);
    if (opened.ok) return { kind: 'spend', token: opened.value, spent: { family, sequence } };
    // It stays where it is: a replica with other keys may open it.
    log.error('refresh token: cannot be opened with the keys of this replica', {
      source: address.source,
      why: opened.error,
    });
    await this.release(source, attempt);
    return { kind: 'unreadable', why: opened.error };
  }

  /**
   * The provider has spent it, and gave `successor` instead. Without an answer of Redis this rejects, and goes on in the
   * background: a successor that is lost is a family that is lost.
   * `replaced`: another family, or a later token, is there by now, or the family is over; the successor is of no use.
   */
  async succeed(
    source: RefreshTokenSource,
    attempt: string,
    spent: Spent,
    successor: Redacted,
  ): Promise<'ok' | 'replaced'> {
    const { journal, log } = this.#ports;
    const address = addressOf(source);
    const { family, sequence } = spent;
    const sealed = this.#codec.seal(address, { family, sequence: sequence + 1 }, successor);
    const fields = { source: address.source, family, sequence: sequence + 1 };
    const note = (kind: 'ok' | 'replaced'): void => {
      if (kind === 'replaced') log.warn('refresh token: a successor came too late, and was dropped', fields);
    };
    try {
      const { kind } = await this.#owed.send(
        () => journal.succeed(address, attempt, spent, sealed),
        (late) => {
          log.info('refresh token: the journal has answered for a successor', { ...fields, outcome: late.kind });
          note(late.kind);
        },
      );
      note(kind);
      return kind;
    } catch (error) {
      const reason = error instanceof StoreError ? error.message : 'a fault of the broker';
      log.error('refresh token: a successor is not in the journal yet; trying on', { ...fields, reason });
      throw error;
    }
  }

  /**
   * The provider has answered, and gave no successor: the token stays good. `replaced`: another family is there by now, or
   * this one is over.
   */
  keep(source: RefreshTokenSource, attempt: string, spent: Spent, token: Redacted): Promise<'ok' | 'replaced'> {
    const { clock, journal } = this.#ports;
    const address = addressOf(source);
    const sealed = this.#codec.seal(address, spent, token);
    return sendUntilAnswered(clock, () => journal.keep(address, attempt, spent, sealed));
  }

  /** The provider was not called, or nobody knows what it did: the token stays. Best effort: an intent runs out. */
  async release(source: RefreshTokenSource, attempt: string): Promise<void> {
    const { clock, journal, log } = this.#ports;
    const address = addressOf(source);
    try {
      await sendUntilAnswered(clock, () => journal.release(address, attempt));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const { message: reason } = error;
      log.warn('refresh token: could not be released; others wait until its time is over', {
        source: address.source,
        reason,
      });
    }
  }

  /** The provider refuses it for good. `moved`: it was not the current one any more, or another is trying it. */
  exhaust(source: RefreshTokenSource, attempt: string, spent: Spent): Promise<'exhausted' | 'moved'> {
    const { clock, journal } = this.#ports;
    return sendUntilAnswered(clock, () => journal.exhaust(addressOf(source), attempt, spent));
  }

  /** Begins a family with a token that an operator gives. `spent`: it has begun one before. */
  seed(source: RefreshTokenSource, token: Redacted): Promise<SeedReply> {
    const { clock, random, journal, recipeKey } = this.#ports;
    const address = addressOf(source);
    const family = randomId(random);
    const sealed = this.#codec.seal(address, { family, sequence: 0 }, token);
    const hash = tokenHashOf(recipeKey(), token.reveal());
    return sendUntilAnswered(clock, () => journal.seed(address, family, sealed, hash));
  }

  state(source: RefreshTokenSource): Promise<JournalState> {
    return this.#ports.journal.state(addressOf(source));
  }

  /** Resolves when no successor is owed to the journal any more. May take until Redis is back: bound the wait. */
  settle(): Promise<void> {
    return this.#owed.settle();
  }
}

function addressOf({ configuration, upstream }: RefreshTokenSource): JournalAddress {
  return { source: configuration.name, upstream };
}
