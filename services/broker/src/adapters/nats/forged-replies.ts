import type { Clock } from '@token-broker/foundation';
import type { Audit, AuditEntry } from '../../app/ports/audit.js';

/** How long further attempts of one caller are gathered into one line. */
const GATHER_MS = 10_000;

/** Callers that are told apart at the same time. The server enforces names, so there are as many as users. */
const MAX_CALLERS = 1_000;

/** Characters of a reply subject that are written down. */
const SHOWN_CHARACTERS = 128;

/** Requests whose reply would have gone to somebody else, written to the audit trail. */
export interface ForgedReplies {
  note(caller: string, subject: string, reply: string): void;
  /** Writes what is still gathered. */
  flush(): void;
}

/**
 * The first attempt of a caller is written at once, what follows within 10 s as one line with its count: nothing is left
 * out, and a flood writes two lines per caller and window at most.
 */
export function createForgedReplies(clock: Clock, audit: Audit): ForgedReplies {
  const gathered = new Map<string, { count: number; reply: string }>();

  const close = (caller: string): void => {
    const further = gathered.get(caller);
    gathered.delete(caller);
    if (further === undefined || further.count === 0) return;
    audit.note(entryOf(caller, { requests: further.count, lastReply: further.reply }));
  };

  return {
    note(caller, subject, reply) {
      const name = gathered.has(caller) || gathered.size < MAX_CALLERS ? caller : '(others)';
      const shown = reply.slice(0, SHOWN_CHARACTERS);
      const further = gathered.get(name);
      if (further !== undefined) {
        further.count += 1;
        further.reply = shown;
        return;
      }
      gathered.set(name, { count: 0, reply: shown });
      clock.startTimer(GATHER_MS, () => close(name));
      audit.note(entryOf(caller, { requests: 1, subject: subject.slice(0, SHOWN_CHARACTERS), lastReply: shown }));
    },
    flush() {
      for (const caller of [...gathered.keys()]) close(caller);
    },
  };
}

/** A request was dropped since its reply subject is outside the inbox of its caller. */
function entryOf(caller: string, facts: NonNullable<AuditEntry['facts']>): AuditEntry {
  return { event: 'reply-subject.forged', by: caller, result: 'refused', facts };
}
