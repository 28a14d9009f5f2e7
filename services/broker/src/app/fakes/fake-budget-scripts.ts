import type { ErrorCode } from '@token-broker/protocol';
import type {
  BudgetState,
  LimitCeilings,
  PermitReply,
  PermitRequest,
  SettleRequest,
} from '../ports/upstream-budgets.js';
import {
  calendarField,
  charge,
  duration,
  endOfPeriod,
  growing,
  periodOf,
  PERIODS,
  REMEMBERED_MS,
  type Account,
  type FakeBudget,
  type FakeCall,
} from './fake-budget.js';

/** A probe may end sooner than it must, so nobody is told to wait longer for it. */
const PROBE_WAIT_MS = 1_000;
const FAILURES_TO_OPEN = 5;

/** One script: what it finds, and the time, which it takes for the start (rounded down) and the end of calls (up). */
export interface BudgetScript {
  readonly budget: FakeBudget;
  readonly nowMs: number;
  readonly endMs: number;
}

type Refusal = Extract<PermitReply, { kind: 'refused' }>;

export function permit(script: BudgetScript, request: PermitRequest): PermitReply {
  const { budget, nowMs } = script;
  const { call, credential, limits } = request;
  forget(script, credential);
  const untilMs = nowMs + duration(request.callMs);
  const known = budget.calls.get(call);
  if (known !== undefined && known.untilMs >= nowMs) {
    if (untilMs > known.untilMs) prolong(script, call, untilMs);
    return { kind: 'go' };
  }
  if (known !== undefined || budget.ended.has(call))
    return refusal('limit', 'QUOTA_EXHAUSTED', 'this call has ended', PROBE_WAIT_MS);

  const account = accountFor(script, request);
  const refusals = [...refusalsOf(script, credential), ...(typeof account === 'string' ? [] : [account])];
  if (typeof account !== 'string' || refusals.length > 0) {
    // Nobody is told to come back before all that refuses is over.
    return refusals.reduce((longest, next) => (next.retryAfterMs > longest.retryAfterMs ? next : longest));
  }

  budget.calls.set(call, { account, begunMs: nowMs, untilMs });
  keepWindow(script, limits);
  if (budget.keepMs > 0) budget.accounts[account].set(call, untilMs);
  for (const period of PERIODS) {
    const [first, last] = [periodOf(period, nowMs), periodOf(period, untilMs)];
    charge(budget, nowMs, calendarField(period, first, account), 1);
    // Until it has ended it may arrive in the next period.
    if (last !== first) charge(budget, nowMs, calendarField(period, last, account), 1);
  }
  if (budget.leftUntilMs > nowMs) budget.left--;
  if (budget.opened > 0) budget.probe = call;
  const refused = budget.credentials.get(credential);
  if (refused !== undefined) refused.probe = call;
  prune(script);
  return { kind: 'go' };
}

export function settle(script: BudgetScript, request: SettleRequest): void {
  const { budget, nowMs } = script;
  const { call, credential, outcome, limits, observed } = request;
  if (budget.ended.has(call)) return;
  forget(script, credential);
  const known = budget.calls.get(call);
  const endMs = Math.max(script.endMs, known?.begunMs ?? 0);
  budget.calls.delete(call);
  budget.ended.set(call, endMs);
  keepWindow(script, limits);
  if (outcome.kind === 'not-made') takeOut(script, call, known);
  else count(script, call, known, endMs);

  const isBreakerProbe = budget.probe === call;
  const refused = budget.credentials.get(credential);
  const { uniform } = request;
  switch (outcome.kind) {
    case 'answered':
      if (budget.pauseUntilMs <= nowMs) budget.throttles = 0;
      closeBreaker(budget);
      budget.credentials.delete(credential);
      break;
    case 'throttled': {
      closeBreaker(budget);
      // One pause grows the next, however many calls were told of it.
      const isNew = budget.pauseUntilMs <= nowMs;
      if (isNew) budget.throttles++;
      const backoffMs = isNew ? growing(1_000, 60_000, budget.throttles, uniform) : 0;
      pauseFor(script, Math.max(duration(outcome.pauseMs), backoffMs), 'QUOTA_EXHAUSTED', outcome.message);
      break;
    }
    case 'unavailable': {
      const pauseMs = duration(outcome.pauseMs);
      if (pauseMs > 0) pauseFor(script, pauseMs, outcome.code, outcome.message);
      budget.failures++;
      // While it is open, only the probe says something new.
      if (budget.opened === 0 ? budget.failures >= FAILURES_TO_OPEN : isBreakerProbe) {
        budget.opened++;
        budget.openUntilMs = nowMs + Math.max(pauseMs, growing(1_000, 30_000, budget.opened, uniform));
        budget.probe = '';
      }
      budget.failedCode = outcome.code;
      budget.failedMessage = outcome.message;
      budget.failuresUntilMs = Math.max(nowMs, budget.openUntilMs) + REMEMBERED_MS;
      break;
    }
    case 'credential-refused': {
      closeBreaker(budget);
      if (refused !== undefined && refused.probe !== call) break;
      const refusals = (refused?.refusals ?? 0) + 1;
      const untilMs = nowMs + growing(5_000, 600_000, refusals, uniform);
      const { code, message } = outcome;
      budget.credentials.set(credential, { refusals, untilMs, code, message, probe: '' });
      break;
    }
    case 'not-made':
      break;
  }
  if (observed !== undefined && duration(observed.resetMs) > 0) observe(script, observed);
}

export function state(
  script: BudgetScript,
  upstream: string,
  credential: string,
  limits: readonly Pick<LimitCeilings, 'window'>[],
): BudgetState {
  const { budget, nowMs } = script;
  forget(script, credential);
  const emptyUntilMs = budget.left <= 0 ? budget.leftUntilMs : 0;
  return {
    upstream,
    used: limits.map(({ window }) => ({
      common: used(script, window, 'common'),
      reserve: used(script, window, 'reserve'),
    })),
    open: openCalls(script),
    pausedMs: Math.max(0, Math.max(budget.pauseUntilMs, emptyUntilMs) - nowMs),
    breaker: budget.opened === 0 ? 'closed' : budget.openUntilMs > nowMs ? 'open' : 'half-open',
    credentialPausedMs: Math.max(0, (budget.credentials.get(credential)?.untilMs ?? 0) - nowMs),
  };
}

/** The account that the call is charged to. */
function accountFor(script: BudgetScript, { limits, first }: PermitRequest): Account | Refusal {
  const { nowMs } = script;
  const full = (freeAtMs: number): Refusal =>
    refusal('limit', 'QUOTA_EXHAUSTED', 'the quota is used up', freeAtMs - nowMs);
  const found: number[] = [];
  for (const account of [first, first === 'common' ? 'reserve' : 'common'] as const) {
    const times = limits.map((limit) => freeAt(script, limit, account));
    if (times.includes(undefined)) continue;
    const atMs = Math.max(nowMs, ...times.map((time) => time ?? 0));
    if (atMs === nowMs) return account;
    found.push(atMs);
  }
  if (found.length > 0) return full(Math.min(...found));
  const windows = limits.map(({ window }) =>
    window.kind === 'calendar' ? endOfPeriod(window.period, nowMs) : nowMs + window.ms + 1,
  );
  return full(Math.max(...windows));
}

/** When a call may be charged to this account of a limit; `undefined`: never. */
function freeAt(script: BudgetScript, limit: LimitCeilings, account: Account): number | undefined {
  const { budget, nowMs } = script;
  const { window, [account]: ceiling } = limit;
  if (ceiling <= 0) return undefined;
  if (used(script, window, account) < ceiling) return nowMs;
  if (window.kind === 'calendar') return endOfPeriod(window.period, nowMs);
  const latest = [...budget.accounts[account].values()].sort((a, b) => a - b).at(-ceiling) ?? 0;
  return latest + window.ms + 1;
}

function used({ budget, nowMs }: BudgetScript, window: LimitCeilings['window'], account: Account): number {
  if (window.kind === 'calendar') {
    const { period } = window;
    return budget.calendar.get(calendarField(period, periodOf(period, nowMs), account)) ?? 0;
  }
  let count = 0;
  for (const arrivedMs of budget.accounts[account].values()) if (arrivedMs >= nowMs - window.ms) count++;
  return count;
}

function refusalsOf(script: BudgetScript, credential: string): Refusal[] {
  const { budget, nowMs } = script;
  const found: Refusal[] = [];
  const refuse = (why: Refusal['why'], code: string, message: string, untilMs: number): void => {
    if (untilMs > nowMs) found.push(refusal(why, code, message, untilMs - nowMs));
  };
  const probing = (call: string): number => {
    const untilMs = budget.calls.get(call)?.untilMs ?? 0;
    return untilMs >= nowMs ? Math.min(untilMs + 1, nowMs + PROBE_WAIT_MS) : 0;
  };
  const refused = budget.credentials.get(credential);
  if (refused !== undefined) {
    const { code, message, untilMs, probe } = refused;
    refuse('credential', code, message, untilMs > nowMs ? untilMs : probing(probe));
  }
  refuse('paused', budget.pauseCode, budget.pauseMessage, budget.pauseUntilMs);
  if (budget.left <= 0) refuse('paused', 'QUOTA_EXHAUSTED', 'the provider has no calls left', budget.leftUntilMs);
  if (budget.opened > 0) {
    const { openUntilMs, failedCode, failedMessage, probe } = budget;
    refuse('breaker', failedCode, failedMessage, openUntilMs > nowMs ? openUntilMs : probing(probe));
  }
  return found;
}

function refusal(why: Refusal['why'], code: string, message: string, retryAfterMs: number): Refusal {
  return { kind: 'refused', why, code: code as ErrorCode, message, retryAfterMs };
}

/** The permit was sent again: from now on, the call may arrive later than was said first. */
function prolong({ budget, nowMs }: BudgetScript, call: string, untilMs: number): void {
  const known = budget.calls.get(call);
  if (known === undefined) return;
  const { account } = known;
  budget.calls.set(call, { ...known, untilMs });
  if (budget.accounts[account].has(call)) budget.accounts[account].set(call, untilMs);
  for (const period of PERIODS) {
    const last = periodOf(period, untilMs);
    if (last !== periodOf(period, known.untilMs)) charge(budget, nowMs, calendarField(period, last, account), 1);
  }
}

/** The call has ended, and may have arrived at any time until then. */
function count(script: BudgetScript, call: string, known: FakeCall | undefined, endMs: number): void {
  const { budget, nowMs } = script;
  const account = known?.account ?? (budget.accounts.reserve.has(call) ? 'reserve' : 'common');
  if (budget.keepMs > 0) {
    const before = known === undefined ? (budget.accounts[account].get(call) ?? 0) : 0;
    budget.accounts[account].set(call, Math.max(endMs, before));
  }
  for (const period of PERIODS) {
    const ended = periodOf(period, endMs);
    const begun = known === undefined ? -1 : periodOf(period, known.begunMs);
    const last = known === undefined ? -1 : periodOf(period, known.untilMs);
    if (last !== begun && ended === begun) charge(budget, nowMs, calendarField(period, last, account), -1);
    else if (ended !== begun && ended !== last) charge(budget, nowMs, calendarField(period, ended, account), 1);
  }
}

function takeOut({ budget, nowMs }: BudgetScript, call: string, known: FakeCall | undefined): void {
  budget.accounts.common.delete(call);
  budget.accounts.reserve.delete(call);
  if (known === undefined) return;
  for (const period of PERIODS) {
    const [first, last] = [periodOf(period, known.begunMs), periodOf(period, known.untilMs)];
    charge(budget, nowMs, calendarField(period, first, known.account), -1);
    if (last !== first) charge(budget, nowMs, calendarField(period, last, known.account), -1);
  }
  if (budget.leftUntilMs > nowMs) budget.left++;
}

function pauseFor({ budget, nowMs }: BudgetScript, pauseMs: number, code: string, message: string): void {
  if (nowMs + pauseMs <= budget.pauseUntilMs) return;
  Object.assign(budget, { pauseUntilMs: nowMs + pauseMs, pauseCode: code, pauseMessage: message });
}

function closeBreaker(budget: FakeBudget): void {
  Object.assign(budget, { failures: 0, opened: 0, openUntilMs: 0, failedCode: '', failedMessage: '', probe: '' });
}

/** Never raised before the reset that it was said with: calls that are under way may not be counted in it yet. */
function observe(script: BudgetScript, observed: { readonly remaining: number; readonly resetMs: number }): void {
  const { budget, nowMs } = script;
  const left = Math.floor(observed.remaining) - openCalls(script);
  const untilMs = nowMs + duration(observed.resetMs);
  if (budget.leftUntilMs > nowMs) {
    if (left >= budget.left) return;
    Object.assign(budget, { left, leftUntilMs: Math.max(untilMs, budget.leftUntilMs) });
  } else Object.assign(budget, { left, leftUntilMs: untilMs });
}

function openCalls({ budget, nowMs }: BudgetScript): number {
  let open = 0;
  for (const { untilMs } of budget.calls.values()) if (untilMs >= nowMs) open++;
  return open;
}

function keepWindow({ budget, nowMs }: BudgetScript, limits: readonly LimitCeilings[]): void {
  const longestMs = Math.max(0, ...limits.map(({ window }) => (window.kind === 'sliding' ? window.ms : 0)));
  if (budget.keepUntilMs < nowMs) budget.keepMs = 0;
  if (longestMs === 0 || longestMs < budget.keepMs) return;
  Object.assign(budget, { keepMs: longestMs, keepUntilMs: nowMs + longestMs });
}

/** What is no longer in a row. */
function forget({ budget, nowMs }: BudgetScript, credential: string): void {
  if (budget.pauseUntilMs + REMEMBERED_MS < nowMs) budget.throttles = 0;
  if (budget.failuresUntilMs < nowMs) closeBreaker(budget);
  const refused = budget.credentials.get(credential);
  if (refused !== undefined && refused.untilMs + REMEMBERED_MS < nowMs) budget.credentials.delete(credential);
}

function prune({ budget, nowMs }: BudgetScript): void {
  for (const [call, { untilMs }] of budget.calls) if (untilMs < nowMs - REMEMBERED_MS) budget.calls.delete(call);
  for (const [call, endedMs] of budget.ended) if (endedMs < nowMs - REMEMBERED_MS) budget.ended.delete(call);
  for (const account of Object.values(budget.accounts)) {
    for (const [call, arrivedMs] of account) if (arrivedMs < nowMs - budget.keepMs) account.delete(call);
  }
}
