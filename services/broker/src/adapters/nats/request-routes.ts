import { inboxPrefixOf, isIdentifier, type Subjects } from '@token-broker/protocol';
import type { ServiceRequest } from '../../app/ports/bus.js';

/** Subjects that are remembered: callers times sources of a large installation. */
const MAX_REMEMBERED = 8_192;

/** What the subject of a request says, read once per subject. */
export interface RequestRoute {
  readonly verb: ServiceRequest['verb'];
  readonly caller: string;
  readonly target: string;
  /** With its final dot: every reply subject of the caller begins so. */
  readonly inbox: string;
}

/** Why a subject leads nowhere. `caller` is the text in the caller's place, whatever it is. */
export interface NoRoute {
  readonly caller: string;
  /** What to tell a caller that is one; `undefined` when the caller's name is none, so that it can have no inbox. */
  readonly problem?: string;
  readonly inbox: string;
}

/** Reads subjects and remembers them, so that a request that comes again costs one look into a map. */
export function createRequestRoutes(subjects: Subjects): (subject: string) => RequestRoute | NoRoute {
  const remembered = new Map<string, RequestRoute>();
  return (subject) => {
    const known = remembered.get(subject);
    if (known !== undefined) return known;
    const route = readRoute(subjects, subject);
    if ('verb' in route) {
      // Names that were made up could fill it: starting anew is cheaper than keeping an order of use.
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      remembered.set(subject, route);
    }
    return route;
  };
}

function readRoute(subjects: Subjects, subject: string): RequestRoute | NoRoute {
  const parsed = subjects.parse(subject);
  if (parsed === undefined) return { caller: '', inbox: '' };
  const { caller } = parsed;
  // A receipt is published, not asked; nobody gets here with one.
  if (!isIdentifier(caller) || parsed.verb === 'ack') return { caller, inbox: '' };
  const inbox = `${inboxPrefixOf(caller)}.`;
  if ('source' in parsed) return checked(parsed.verb, caller, parsed.source, inbox, 'source');
  if ('operation' in parsed) return checked(parsed.verb, caller, parsed.operation, inbox, 'operation');
  return { verb: parsed.verb, caller, target: '', inbox };
}

function checked(
  verb: RequestRoute['verb'],
  caller: string,
  target: string,
  inbox: string,
  what: string,
): RequestRoute | NoRoute {
  if (isIdentifier(target)) return { verb, caller, target, inbox };
  return { caller, inbox, problem: `the ${what} in the subject must match [A-Za-z0-9_-]{1,64}` };
}
