import type {
  BudgetScripts,
  JournalScripts,
  Locks,
  Provider,
  RefreshTokenJournal,
  Scripts,
  Service,
  Store,
  UpstreamBudgets,
} from '@token-broker/broker/simulation';
import type { Clock } from '@token-broker/foundation';
import type { NatsConnectionLike } from '@token-broker/client';
import type { Guarantee } from '../checker/violation.js';

/**
 * A rule of the protocol that is broken on purpose, behind a port or in the prototype of a class, for one run. The simulation
 * is worth as much as the bugs that it finds.
 */
export interface Bug {
  readonly name: string;
  /** The guarantees that it may break. */
  readonly breaks: readonly Guarantee[];
  /** The rule that is broken, in one sentence. */
  readonly what: string;
  readonly scripts?: (scripts: Scripts) => Scripts;
  readonly store?: (store: Store, clock: Clock) => Store;
  readonly budgetScripts?: (scripts: BudgetScripts) => BudgetScripts;
  readonly journalScripts?: (scripts: JournalScripts) => JournalScripts;
  readonly budgets?: (budgets: UpstreamBudgets) => UpstreamBudgets;
  readonly journal?: (journal: RefreshTokenJournal, clock: Clock) => RefreshTokenJournal;
  readonly locks?: (locks: Locks) => Locks;
  readonly provider?: (provider: Provider, clock: Clock) => Provider;
  readonly service?: (service: Service, clock: Clock) => Service;
  readonly client?: (connection: NatsConnectionLike, clock: Clock) => NatsConnectionLike;
  /** Changes a prototype; returns what changes it back. */
  readonly patch?: () => () => void;
}
