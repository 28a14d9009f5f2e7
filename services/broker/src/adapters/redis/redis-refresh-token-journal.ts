import type {
  JournalAddress,
  JournalEntry,
  JournalState,
  RefreshTokenJournal,
  SeedReply,
  SpendReply,
} from '../../app/ports/refresh-token-journal.js';
import { StoreError } from '../../app/ports/store.js';
import { confirmedReplicas, type Durability } from './confirmed-replicas.js';
import { createKeys, type Keys } from './keys.js';
import { bytesOf, numberOf, textOf } from './replies.js';
import { Scripts, type RedisClient, type ReplyValue, type ScriptName } from './scripts.js';

export interface RedisRefreshTokenJournalOptions extends Durability {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly onError: (command: string) => void;
}

/** The journal on a real Redis: each method is one script of `lua/` on one source's keys. */
export class RedisRefreshTokenJournal implements RefreshTokenJournal {
  readonly #options: RedisRefreshTokenJournalOptions;
  readonly #scripts: Scripts;
  readonly #keys: Keys;

  constructor(options: RedisRefreshTokenJournalOptions) {
    this.#options = options;
    this.#scripts = new Scripts(options.client, options.onError);
    this.#keys = createKeys(options.namespace);
  }

  async spend(address: JournalAddress, attempt: string, callMs: number): Promise<SpendReply> {
    const [kind, first, second, third] = await this.#run('journalSpend', address, [attempt, callMs]);
    const tag = textOf(kind);
    switch (tag) {
      case 'spend': {
        const [family, sequence] = [textOf(first), numberOf(textOf(second))];
        return { kind: tag, entry: { family, sequence, sealed: bytesOf(third) } };
      }
      case 'busy':
        return { kind: tag, remainingMs: numberOf(textOf(first)) };
      case 'missing':
        return { kind: tag };
      case 'exhausted':
        return { kind: tag, family: textOf(first) };
      default:
        throw unexpected('journalSpend', tag);
    }
  }

  async succeed(
    address: JournalAddress,
    attempt: string,
    { family, sequence }: Pick<JournalEntry, 'family' | 'sequence'>,
    successor: Uint8Array,
  ): ReturnType<RefreshTokenJournal['succeed']> {
    const [kind] = await this.#run('journalSucceed', address, [attempt, family, sequence, successor]);
    const tag = textOf(kind);
    if (tag === 'replaced') return { kind: tag, replicas: 0 };
    if (tag !== 'ok') throw unexpected('journalSucceed', tag);
    return { kind: tag, replicas: await confirmedReplicas(this.#options.client, this.#options) };
  }

  async keep(
    address: JournalAddress,
    attempt: string,
    { family, sequence }: Pick<JournalEntry, 'family' | 'sequence'>,
    sealed: Uint8Array,
  ): Promise<'ok' | 'replaced'> {
    const [kind] = await this.#run('journalKeep', address, [attempt, family, sequence, sealed]);
    const tag = textOf(kind);
    if (tag !== 'ok' && tag !== 'replaced') throw unexpected('journalKeep', tag);
    return tag;
  }

  async release(address: JournalAddress, attempt: string): Promise<void> {
    await this.#run('journalRelease', address, [attempt]);
  }

  async exhaust(
    address: JournalAddress,
    attempt: string,
    { family, sequence }: Pick<JournalEntry, 'family' | 'sequence'>,
  ): Promise<'exhausted' | 'moved'> {
    const [kind] = await this.#run('journalExhaust', address, [attempt, family, sequence]);
    const tag = textOf(kind);
    if (tag !== 'exhausted' && tag !== 'moved') throw unexpected('journalExhaust', tag);
    return tag;
  }

  async seed(address: JournalAddress, family: string, sealed: Uint8Array, hash: string): Promise<SeedReply> {
    const [kind, replaced] = await this.#run('journalSeed', address, [family, sealed, hash]);
    const tag = textOf(kind);
    if (tag === 'spent') return { kind: tag };
    if (tag !== 'ok') throw unexpected('journalSeed', tag);
    const replicas = await confirmedReplicas(this.#options.client, this.#options);
    return { kind: tag, replaced: textOf(replaced) === '1', replicas };
  }

  async state(address: JournalAddress): Promise<JournalState> {
    const [kind, sequence, changedAt] = await this.#run('journalState', address, []);
    const tag = textOf(kind);
    if (tag !== 'missing' && tag !== 'ready' && tag !== 'spending' && tag !== 'exhausted')
      throw unexpected('journalState', tag);
    return { kind: tag, sequence: numberOf(textOf(sequence)), changedAtMs: numberOf(textOf(changedAt)) };
  }

  #run(
    name: ScriptName,
    { source, upstream }: JournalAddress,
    args: readonly (string | number | Uint8Array)[],
  ): Promise<readonly ReplyValue[]> {
    const { journal, seeds } = this.#keys.journal(source, upstream);
    return this.#scripts.run(name, [journal, seeds], args);
  }
}

function unexpected(command: string, tag: string): StoreError {
  return new StoreError(command, 'unknown', `unexpected reply ${tag}`);
}
