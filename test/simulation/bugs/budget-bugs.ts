import { Governor } from '@token-broker/broker/simulation';
import type { Bug } from './bug.js';
import { patched } from './patched.js';

/** Rules that keep an upstream's quota, and share it fairly. */
export const BUDGET_BUGS: readonly Bug[] = [
  {
    name: 'calls-count-from-the-permit-alone',
    breaks: ['quota', 'classes'],
    what: 'A call counts from its permit on, however late it reaches the provider.',
    budgetScripts: (scripts) => ({
      permit: (script, request) => {
        const { budget, nowMs } = script;
        const reply = scripts.permit(script, request);
        for (const account of Object.values(budget.accounts))
          if (account.has(request.call)) account.set(request.call, budget.calls.get(request.call)?.begunMs ?? nowMs);
        return reply;
      },
      settle: (script, request) => {
        const { common, reserve } = script.budget.accounts;
        const accounts = [common, reserve].map((account) => ({ account, before: account.get(request.call) }));
        scripts.settle(script, request);
        for (const { account, before } of accounts)
          if (before !== undefined && account.has(request.call)) account.set(request.call, before);
      },
    }),
  },
  {
    name: 'pause-stays-at-home',
    breaks: ['pause'],
    what: 'A provider asks for a pause, and only the replica that was asked knows.',
    budgets: (budgets) => ({
      ...budgets,
      settle: (request) =>
        budgets.settle(request.outcome.kind === 'throttled' ? { ...request, outcome: { kind: 'answered' } } : request),
    }),
  },
  {
    name: 'renewals-take-all',
    breaks: ['classes'],
    what: 'A renewal that nobody waits for may have the last call of the window.',
    patch: () =>
      patched(Governor.prototype, (before) => ({
        permit(this: Governor, source, call, callClass) {
          return before.permit.call(this, source, call, callClass === 'refresh-ahead' ? 'waiting' : callClass);
        },
      })),
  },
  {
    name: 'reserve-for-everybody',
    breaks: ['classes'],
    what: 'Calls that replace no revoked token may have the calls that are kept for those that do.',
    patch: () =>
      patched(Governor.prototype, (before) => ({
        permit(this: Governor, source, call, callClass) {
          return before.permit.call(this, source, call, callClass === 'waiting' ? 'waiting-refetch' : callClass);
        },
      })),
  },
  {
    name: 'permit-is-not-idempotent',
    breaks: ['quota'],
    what: 'A permit whose reply was lost is counted again when it is asked for again.',
    budgetScripts: (scripts) => ({
      ...scripts,
      permit: (script, request) => {
        const isAgain = script.budget.calls.has(request.call);
        return scripts.permit(script, isAgain ? { ...request, call: `${request.call} again` } : request);
      },
    }),
  },
];
