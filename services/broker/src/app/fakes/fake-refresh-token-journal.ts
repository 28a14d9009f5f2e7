import type {
  JournalAddress,
  JournalEntry,
  JournalState,
  RefreshTokenJournal,
  SeedReply,
  SpendReply,
} from '../ports/refresh-token-journal.js';
import type { FakeJournal, FakeRedis } from './fake-redis.js';
import type { Wire } from './fake-store.js';

const CALL_FOR_OWNER_MS = 1_000;
const SEEDS_KEPT = 100;

/** One script: the journal of one source at one upstream, which the script may change, and the time. */
export interface JournalScript {
  readonly nowMs: number;
  journal: FakeJournal;
}

type Spent = Pick<JournalEntry, 'family' | 'sequence'>;

function spend(script: JournalScript, attempt: string, callMs: number): SpendReply {
  const { nowMs } = script;
  const { entry, intent } = script.journal;
  if (entry === undefined) return { kind: 'missing' };
  if (entry.exhausted) return { kind: 'exhausted', family: entry.family };
  const spends = nameOf(entry);
  if (intent !== undefined && intent.attempt !== attempt) {
    const busy = (change: Partial<typeof intent>, remainingMs: number): SpendReply => {
      script.journal = { ...script.journal, intent: { ...intent, ...change } };
      return { kind: 'busy', remainingMs };
    };
    // The clock of another server may be behind: nobody waits for longer than a call takes.
    const untilMs = Math.min(intent.untilMs, nowMs + intent.callMs);
    if (untilMs > nowMs) return busy({ untilMs }, untilMs - nowMs);
    const { calledAtMs } = intent;
    if (calledAtMs === 0 || calledAtMs > nowMs) return busy({ untilMs, calledAtMs: nowMs }, CALL_FOR_OWNER_MS);
    const goneMs = nowMs - calledAtMs;
    if (goneMs < CALL_FOR_OWNER_MS) return busy({ untilMs }, CALL_FOR_OWNER_MS - goneMs);
  }
  if (intent?.attempt !== attempt || intent.spends !== spends) {
    const own = { attempt, spends, untilMs: nowMs + callMs, callMs, calledAtMs: 0 };
    script.journal = { ...script.journal, intent: own };
  }
  const { family, sequence, sealed } = entry;
  return { kind: 'spend', entry: { family, sequence, sealed } };
}

function succeed(script: JournalScript, attempt: string, spent: Spent, successor: Uint8Array): 'ok' | 'replaced' {
  clearIntentOf(script, attempt, nameOf(spent));
  const { entry } = script.journal;
  if (entry?.family !== spent.family || entry.exhausted) return 'replaced';
  if (entry.sequence === spent.sequence + 1 && entry.succeededBy === attempt) return 'ok';
  if (entry.sequence !== spent.sequence) return 'replaced';
  const next = { sequence: spent.sequence + 1, sealed: successor, changedAtMs: script.nowMs, succeededBy: attempt };
  script.journal = { ...script.journal, entry: { ...entry, ...next } };
  return 'ok';
}

function keep(script: JournalScript, attempt: string, spent: Spent, sealed: Uint8Array): 'ok' | 'replaced' {
  clearIntentOf(script, attempt, nameOf(spent));
  const { entry } = script.journal;
  if (entry?.family !== spent.family || entry.exhausted) return 'replaced';
  if (entry.sequence === spent.sequence) script.journal = { ...script.journal, entry: { ...entry, sealed } };
  return 'ok';
}

function release(script: JournalScript, attempt: string): void {
  clearIntentOf(script, attempt);
}

function exhaust(script: JournalScript, attempt: string, spent: Spent): 'exhausted' | 'moved' {
  clearIntentOf(script, attempt, nameOf(spent));
  const { entry, intent } = script.journal;
  if (entry === undefined || nameOf(entry) !== nameOf(spent)) return 'moved';
  // Somebody else has taken over, and will tell.
  if (intent !== undefined) return 'moved';
  script.journal = { ...script.journal, entry: { ...entry, exhausted: true } };
  return 'exhausted';
}

function seed(
  script: JournalScript,
  family: string,
  sealed: Uint8Array,
  hash: string,
): { readonly kind: 'ok'; readonly replaced: boolean } | { readonly kind: 'spent' } {
  const { entry, intent, seeds } = script.journal;
  if (entry?.family === family) return { kind: 'ok', replaced: entry.replaced };
  const isCurrent = entry?.seed === hash;
  if (isCurrent) {
    if (entry.sequence > 0 || entry.exhausted) return { kind: 'spent' };
    // Another family would lose the successor that is on its way.
    if (intent !== undefined) return { kind: 'ok', replaced: false };
  } else if (seeds.includes(hash)) return { kind: 'spent' };
  const replaced = entry !== undefined && !isCurrent;
  const begun = { sequence: 0, changedAtMs: script.nowMs, exhausted: false, succeededBy: '' };
  script.journal = {
    entry: { family, sealed, seed: hash, replaced, ...begun },
    intent: undefined,
    seeds: [...seeds.filter((known) => known !== hash), hash].slice(-SEEDS_KEPT),
  };
  return { kind: 'ok', replaced };
}

function state({ journal: { entry, intent }, nowMs }: JournalScript): JournalState {
  if (entry === undefined) return { kind: 'missing', sequence: 0, changedAtMs: 0 };
  const { sequence, changedAtMs, exhausted } = entry;
  const isSpending = intent !== undefined && intent.untilMs > nowMs;
  return { kind: exhausted ? 'exhausted' : isSpending ? 'spending' : 'ready', sequence, changedAtMs };
}

/** An intent for another token than the spent one is a later one: it stays. */
function clearIntentOf(script: JournalScript, attempt: string, spends?: string): void {
  const { intent } = script.journal;
  if (intent?.attempt !== attempt || (spends !== undefined && intent.spends !== spends)) return;
  script.journal = { ...script.journal, intent: undefined };
}

function nameOf({ family, sequence }: Spent): string {
  return `${family}:${String(sequence)}`;
}

/** What Redis runs. A simulation watches the scripts at work, or puts a broken one in the place of one. */
export interface JournalScripts {
  readonly spend: typeof spend;
  readonly succeed: typeof succeed;
  readonly keep: typeof keep;
  readonly release: typeof release;
  readonly exhaust: typeof exhaust;
  readonly seed: typeof seed;
  readonly state: typeof state;
}

export const JOURNAL_SCRIPTS: JournalScripts = { spend, succeed, keep, release, exhaust, seed, state };

/** The journal as one broker reaches it, on a {@link FakeRedis}. Commands are named `journalSpend` and so on. */
export class FakeRefreshTokenJournal implements RefreshTokenJournal {
  wire: Wire = {};
  readonly #redis: FakeRedis;
  readonly #scripts: JournalScripts;

  constructor(redis: FakeRedis, scripts: JournalScripts = JOURNAL_SCRIPTS) {
    this.#redis = redis;
    this.#scripts = scripts;
  }

  spend(address: JournalAddress, attempt: string, callMs: number): Promise<SpendReply> {
    return this.#run('journalSpend', address, (script) => this.#scripts.spend(script, attempt, callMs));
  }

  succeed(
    address: JournalAddress,
    attempt: string,
    spent: Spent,
    successor: Uint8Array,
  ): ReturnType<RefreshTokenJournal['succeed']> {
    return this.#run('journalSucceed', address, (script) => {
      const kind = this.#scripts.succeed(script, attempt, spent, successor);
      return { kind, replicas: kind === 'ok' ? this.#redis.replicas : 0 };
    });
  }

  keep(address: JournalAddress, attempt: string, spent: Spent, sealed: Uint8Array): Promise<'ok' | 'replaced'> {
    return this.#run('journalKeep', address, (script) => this.#scripts.keep(script, attempt, spent, sealed));
  }

  release(address: JournalAddress, attempt: string): Promise<void> {
    return this.#run('journalRelease', address, (script) => {
      this.#scripts.release(script, attempt);
    });
  }

  exhaust(address: JournalAddress, attempt: string, spent: Spent): Promise<'exhausted' | 'moved'> {
    return this.#run('journalExhaust', address, (script) => this.#scripts.exhaust(script, attempt, spent));
  }

  seed(address: JournalAddress, family: string, sealed: Uint8Array, hash: string): Promise<SeedReply> {
    return this.#run('journalSeed', address, (script) => {
      const reply = this.#scripts.seed(script, family, sealed, hash);
      return reply.kind === 'ok' ? { ...reply, replicas: this.#redis.replicas } : reply;
    });
  }

  state(address: JournalAddress): Promise<JournalState> {
    return this.#run('journalState', address, (script) => this.#scripts.state(script));
  }

  async #run<T>(command: string, address: JournalAddress, work: (script: JournalScript) => T): Promise<T> {
    await this.wire.toRedis?.(command);
    const key = `${address.source}/${address.upstream}`;
    const { journals, nowMs } = this.#redis;
    const script: JournalScript = {
      nowMs,
      journal: journals.get(key) ?? { entry: undefined, intent: undefined, seeds: [] },
    };
    const result = work(script);
    journals.set(key, script.journal);
    await this.wire.fromRedis?.(command);
    return result;
  }
}
