import { FamilyEnds, OwedWrites } from '@token-broker/broker/simulation';
import { delay } from '@token-broker/foundation';
import type { Bug } from './bug.js';
import { patched } from './patched.js';

/** So much later is written what should have come first. */
const LATER_MS = 400;
/** The longest time that an owner has to come back, as a script counts. */
const CALLED_LONG_AGO_MS = 60_000;

/** Rules that keep refresh tokens from being spent twice. */
export const REFRESH_TOKEN_BUGS: readonly Bug[] = [
  {
    name: 'spend-without-intent',
    breaks: ['G6'],
    what: 'A refresh token is spent without a note in the journal of who does it.',
    journalScripts: (scripts) => ({
      ...scripts,
      spend: (script, attempt, callMs) => {
        const reply = scripts.spend(script, attempt, callMs);
        if (reply.kind === 'spend') script.journal = { ...script.journal, intent: undefined };
        return reply;
      },
    }),
  },
  {
    name: 'takeover-without-calling-for-the-owner',
    breaks: ['G6'],
    what: 'When the time of a call is over, its refresh token is spent again at once, without a wait for the one who has it.',
    journalScripts: (scripts) => ({
      ...scripts,
      spend: (script, attempt, callMs) => {
        const { intent } = script.journal;
        if (intent !== undefined && intent.untilMs <= script.nowMs)
          script.journal = {
            ...script.journal,
            intent: { ...intent, calledAtMs: script.nowMs - CALLED_LONG_AGO_MS },
          };
        return scripts.spend(script, attempt, callMs);
      },
    }),
  },
  {
    name: 'successor-after-the-commit',
    breaks: ['G6'],
    what: 'The token is committed first, and the successor of its refresh token is written after it.',
    journal: (journal, clock) => ({
      ...journal,
      succeed: (...args) => {
        void delay(clock, LATER_MS)
          .then(() => journal.succeed(...args))
          .catch(() => undefined);
        return Promise.resolve({ kind: 'ok', replicas: 0 });
      },
    }),
  },
  {
    name: 'drop-the-successor-when-redis-is-away',
    breaks: ['G6'],
    what: 'A successor that Redis did not take at once is not written again.',
    patch: () => patched(OwedWrites.prototype, () => ({ send: (write) => write() })),
  },
  {
    name: 'exhaust-without-looking-again',
    breaks: ['G6'],
    what: 'A refused refresh token ends the family that the journal has, without a look whether it is still the current one.',
    journalScripts: (scripts) => ({
      ...scripts,
      exhaust: (script) => {
        const { entry } = script.journal;
        if (entry !== undefined)
          script.journal = { ...script.journal, intent: undefined, entry: { ...entry, exhausted: true } };
        return 'exhausted';
      },
    }),
  },
  {
    name: 'reauth-is-retried',
    breaks: ['G6'],
    what: 'A refresh token that was refused for good is only released, and the next one who asks spends it again.',
    journal: (journal) => ({
      ...journal,
      exhaust: async (address, attempt) => {
        await journal.release(address, attempt);
        return 'exhausted';
      },
    }),
  },
  {
    name: 'family-lives-on',
    breaks: ['families'],
    what: 'When a family of refresh tokens is over, the access tokens that came of it are served on.',
    patch: () => patched(FamilyEnds.prototype, () => ({ over: () => undefined })),
  },
];
