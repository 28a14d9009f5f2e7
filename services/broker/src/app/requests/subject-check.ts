import { createHash } from 'node:crypto';
import { BoundedMap, SingleFlight, type Clock, type Redacted } from '@token-broker/foundation';
import { failure, type Failure } from '@token-broker/protocol';
import type { SubjectTokens } from '../flight/flight-plan.js';
import type { Audit } from '../ports/audit.js';
import type { Log } from '../ports/telemetry.js';
import { isFailure } from './refusal.js';
import type { Route, Routes } from './routes.js';
import type { Source, Sources } from '../sources/sources.js';

/** So long a token that was found to be the caller's is not looked at again: so long a token may be used that its issuer took back. */
const TRUSTED_MS = 60_000;
/** So long one that was refused is refused without a look: a caller that insists costs the identity provider nothing. */
const REFUSED_MS = 5_000;
/** So long an identity provider that could not say is not asked again about the same token, unless it names another time. */
const FAILED_MS = 1_000;
const VERDICTS_KEPT = { maxEntries: 50_000, maxBytes: 50_000 };

/** Whom a token that is good names; `undefined`: nobody. */
interface Good {
  readonly name: string | undefined;
}

interface Verdict {
  readonly untilMs: number;
  readonly found: Good | Failure;
}

export interface SubjectCheckPorts {
  readonly clock: Clock;
  readonly sources: Sources;
  readonly log: Log;
  readonly audit: Audit;
}

/**
 * Checks that the tokens which a caller gives are good, and its own: without that a caller could trade in whatever token it
 * has come by. Owned by a caller is what was issued to one of its client ids.
 */
export class SubjectCheck {
  readonly #ports: SubjectCheckPorts;
  readonly #verdicts = new BoundedMap<Verdict>(VERDICTS_KEPT, () => 1);
  readonly #running = new SingleFlight<Good | Failure>();

  constructor(ports: SubjectCheckPorts) {
    this.#ports = ports;
  }

  /**
   * Whom the tokens name, when they are good. Never rejects; an identity provider that cannot be asked is a failure of this
   * request.
   */
  async check(route: Route): Promise<readonly string[] | Failure> {
    const { subject, source, caller } = route;
    if (subject === undefined) return [];
    const names = new Set<string>();
    // Read once: what is found out about these ids must not be noted as found out about those of a reload meanwhile.
    const clientIds = this.#ports.sources.caller(caller)?.clientIds ?? [];
    for (const [what, token] of tokensOf(subject)) {
      const key = keyOf(source, caller, clientIds, what, token);
      const known = this.#verdicts.get(key);
      const found =
        known !== undefined && this.#ports.clock.elapsedMs() < known.untilMs
          ? known.found
          : await this.#running.join(key, () => this.#ask(key, route, clientIds, what, token));
      if (isFailure(found)) return found;
      if (found.name !== undefined) names.add(found.name);
    }
    return [...names];
  }

  async #ask(
    key: string,
    { source, caller }: Route,
    clientIds: readonly string[],
    what: string,
    token: Redacted,
  ): Promise<Good | Failure> {
    const { clock, log, audit } = this.#ports;
    const askedAtMs = clock.elapsedMs();
    const read = await source.provider.readSubject(token);
    const { name } = source.configuration;
    if (!read.ok) {
      const { code, message, detail, retryAfterMs } = read.error;
      log.warn('idp: a subject token could not be checked', { source: name, code, detail });
      const refusal = failure(code, message, retryAfterMs);
      const pauseMs = Math.min(retryAfterMs ?? FAILED_MS, REFUSED_MS);
      this.#verdicts.set(key, { untilMs: clock.elapsedMs() + pauseMs, found: refusal });
      return refusal;
    }
    // One that is over by now is good for nothing, whatever a tolerance for clocks says.
    const subject = read.value?.remainingMs === 0 ? undefined : read.value;
    const isOwn = subject?.owners.some((owner) => clientIds.includes(owner)) === true;
    const found = isOwn ? { name: subject.name } : refusalOf(what, subject === undefined);
    if (isFailure(found)) {
      const facts = { why: found.message };
      audit.note({ event: 'subject-token.refused', by: caller, source: name, result: 'refused', facts });
    }
    const trustedMs = isOwn ? Math.min(TRUSTED_MS, subject.remainingMs ?? TRUSTED_MS) : REFUSED_MS;
    this.#verdicts.set(key, { untilMs: askedAtMs + trustedMs, found });
    return found;
  }
}

/**
 * The route under the configuration of now, when its tokens are found to be good under that one; else why not. A reload
 * during the check may have changed how tokens are checked, where they go, or whose they are: then it is made anew.
 */
export async function checkedRoute(
  subjectCheck: SubjectCheck,
  routes: Pick<Routes, 'current'>,
  asked: Route,
): Promise<Route | Failure> {
  let route = asked;
  for (;;) {
    const names = await subjectCheck.check(route);
    if (isFailure(names)) return names;
    const current = routes.current(route);
    if (isFailure(current)) return current;
    if (current === route) return { ...route, subjects: names };
    route = current;
  }
}

function refusalOf(what: string, isBad: boolean): Failure {
  return isBad
    ? failure('FORBIDDEN', `the ${what} token is not good: expired, revoked, or not of the issuer`)
    : failure('FORBIDDEN', `the ${what} token was not issued to this caller`);
}

function tokensOf({ subjectToken, actorToken }: SubjectTokens): readonly (readonly [string, Redacted])[] {
  return [['subject', subjectToken], ...(actorToken === undefined ? [] : [['actor', actorToken] as const])];
}

/**
 * Under another configuration of the source, or of the caller, or in another role, the question is another one. The recipe
 * says nothing of how tokens are checked.
 */
function keyOf(
  { recipe, traits }: Source,
  caller: string,
  clientIds: readonly string[],
  what: string,
  token: Redacted,
): string {
  const text = JSON.stringify([recipe, traits.besides, caller, clientIds, what, token.reveal()]);
  return createHash('sha256').update(text).digest('base64url');
}
