export type Account = 'common' | 'reserve';

/** A call that was permitted and has not ended: when it was permitted first, and until when it may arrive. */
export interface FakeCall {
  readonly account: Account;
  readonly begunMs: number;
  readonly untilMs: number;
}

/** A credential that was refused, until it is answered again. */
export interface FakeCredential {
  refusals: number;
  untilMs: number;
  code: string;
  message: string;
  probe: string;
}

/** What Redis keeps of one upstream: plain data, as the scripts in `lua/` keep it. Times are those of Redis. */
export interface FakeBudget {
  readonly calls: Map<string, FakeCall>;
  /** Calls that have ended, and when that was told. */
  readonly ended: Map<string, number>;
  /** Calls, and until when each may have arrived. */
  readonly accounts: Readonly<Record<Account, Map<string, number>>>;
  /** `<period>:<its number>:<account>`: calls. */
  readonly calendar: Map<string, number>;
  readonly credentials: Map<string, FakeCredential>;
  /** The longest window that anybody asked for, until it was not asked for that long. */
  keepMs: number;
  keepUntilMs: number;
  pauseUntilMs: number;
  pauseCode: string;
  pauseMessage: string;
  /** Pauses in a row. */
  throttles: number;
  /** Failures in a row. */
  failures: number;
  /** How often the breaker has opened in a row; 0: it is closed. */
  opened: number;
  openUntilMs: number;
  failedCode: string;
  failedMessage: string;
  failuresUntilMs: number;
  probe: string;
  /** Calls that the provider says are left, less those that were permitted since; may be below zero. */
  left: number;
  leftUntilMs: number;
}

/** How long what has ended is remembered, and how long failures count as being in a row. */
export const REMEMBERED_MS = 600_000;

export function emptyBudget(): FakeBudget {
  return {
    calls: new Map(),
    ended: new Map(),
    accounts: { common: new Map(), reserve: new Map() },
    calendar: new Map(),
    credentials: new Map(),
    ...{ keepMs: 0, keepUntilMs: 0, pauseUntilMs: 0, pauseCode: '', pauseMessage: '', throttles: 0 },
    ...{ failures: 0, opened: 0, openUntilMs: 0, failedCode: '', failedMessage: '', failuresUntilMs: 0, probe: '' },
    ...{ left: 0, leftUntilMs: 0 },
  };
}

const DAY_MS = 86_400_000;
export const PERIODS = ['day', 'month'] as const;
export type Period = (typeof PERIODS)[number];

/** Days since 1970, or months since March of the year 0, in UTC. */
export function periodOf(period: Period, ms: number): number {
  if (period === 'day') return Math.floor(ms / DAY_MS);
  const date = new Date(ms);
  return date.getUTCFullYear() * 12 + date.getUTCMonth() - 2;
}

/** When the period of this moment ends. */
export function endOfPeriod(period: Period, ms: number): number {
  if (period === 'day') return (Math.floor(ms / DAY_MS) + 1) * DAY_MS;
  const date = new Date(ms);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

export function calendarField(period: Period, number: number, account: Account): string {
  return `${period}:${String(number)}:${account}`;
}

/** Counts a call in a period; a new period sweeps out those before the last. */
export function charge(budget: FakeBudget, nowMs: number, field: string, by: number): void {
  const count = (budget.calendar.get(field) ?? 0) + by;
  budget.calendar.set(field, count);
  if (count !== 1) return;
  for (const name of budget.calendar.keys()) {
    const [period = '', number = ''] = name.split(':');
    if (Number(number) < periodOf(period as Period, nowMs) - 1) budget.calendar.delete(name);
  }
}

/** Between half and all of `firstMs * 2^(times - 1)`, at most `maxMs`. */
export function growing(firstMs: number, maxMs: number, times: number, uniform: number): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(times - 1, 30));
  return Math.floor(fullMs / 2 + (fullMs / 2) * uniform);
}

/** A length of time as the scripts take it: whole, and no longer than a year. */
export function duration(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(0, Math.ceil(ms)), 366 * DAY_MS);
}
