import { count, type Claim } from './claims.js';
import type { LocalError } from './local-error.js';
import type { AccessChecks, ColdStart, Observations, Refresh, Revocation, WarmCalls } from './observations.js';
import { PAYMENTS } from './participants.js';
import { table, type Screen } from './screen.js';
import type { StackProgress } from './stack.js';
import { REVOKE_ARGUMENTS } from './tokenctl-run.js';

const STEP_WIDTH = 16;

/** Told of each step of the scenario. */
export interface ScenarioReport {
  beginColdStart(shape: Pick<Observations, 'replicas' | 'services' | 'callersPerService'>): void;
  coldStart(seen: ColdStart): void;
  beginWarmCalls(): void;
  warmCalls(seen: WarmCalls): void;
  beginAccessChecks(): void;
  accessChecks(seen: AccessChecks): void;
  beginRefresh(withinMs: number): void;
  refresh(seen: Refresh): void;
  beginRevocation(): void;
  revocation(seen: Revocation): void;
}

/** Tells a newcomer what happens, in plain sentences. */
export class Report implements ScenarioReport, StackProgress {
  readonly #screen: Screen;
  readonly #verbose: boolean;
  #steps = 0;

  constructor(screen: Screen, options: { readonly verbose: boolean }) {
    this.#screen = screen;
    this.#verbose = options.verbose;
  }

  beginStack(): void {
    this.#screen.line(this.#screen.colour('bold', 'Token Broker, the whole system on this machine'));
    this.#screen.line();
  }

  begin(what: string): void {
    this.#screen.wait(`${what} to start`);
  }

  done(what: string, where: string, tookMs: number): void {
    this.#screen.line(`  ${what.padEnd(STEP_WIDTH)} ${where}  ${this.#screen.colour('dim', `(${seconds(tookMs)})`)}`);
  }

  line(process: string, line: string): void {
    if (this.#verbose) this.#screen.line(this.#screen.colour('dim', `    ${process} | ${line}`));
  }

  failure(error: LocalError): void {
    const { message, why, next, lines } = error;
    this.#screen.line();
    this.#screen.line(this.#screen.colour('red', `${message}: ${why}.`));
    this.#screen.line(next);
    for (const line of lines) this.#screen.line(this.#screen.colour('dim', `    ${line}`));
  }

  beginColdStart({
    replicas,
    services,
    callersPerService,
  }: Pick<Observations, 'replicas' | 'services' | 'callersPerService'>): void {
    const callers = `${String(services.length)} services with ${String(callersPerService)} concurrent callers each`;
    this.#step(`Cold start: ${callers} ask ${String(replicas)} brokers for one token, all at once.`);
    this.#screen.wait(`${String(services.length * callersPerService)} callers to be answered`);
  }

  coldStart({ served, failed, failure, idpCalls, fingerprints, tookMs }: ColdStart): void {
    this.#say(
      `${count(served)} callers got ${same(fingerprints.length)} after ${milliseconds(tookMs)}. ` +
        `The OpenID provider was called ${times(idpCalls)}.`,
    );
    if (failed > 0) this.#say(this.#screen.colour('red', `${count(failed)} calls failed, such as: ${failure ?? ''}`));
  }

  beginWarmCalls(): void {
    this.#step('The same callers go on asking.');
    this.#screen.wait('their calls');
  }

  warmCalls({ served, nearCacheHits, idpCalls, tookMs }: WarmCalls): void {
    this.#say(
      `${count(nearCacheHits)} of ${count(served)} calls were answered by the near cache in the service’s own process, ` +
        `within ${milliseconds(tookMs)} in all; ${count(idpCalls)} IdP calls.`,
    );
  }

  beginAccessChecks(): void {
    this.#step('Nobody gets more than the policy allows.');
    this.#screen.wait('three requests');
  }

  accessChecks({ allowedScope, refusedScope, refusedSource }: AccessChecks): void {
    this.#say(`reports asks for ledger:export, which it may: ${outcome(allowedScope)}.`);
    this.#say(`billing asks for ledger:export, which it may not: ${outcome(refusedScope)}.`);
    this.#say(`orders asks for ledger-api, which it may not use at all: ${outcome(refusedSource)}.`);
  }

  beginRefresh(withinMs: number): void {
    this.#step('The token lives 20 s. Half way through, it is renewed in the background; nobody has to ask.');
    this.#screen.wait(`the renewal, at most ${seconds(withinMs)}`);
  }

  refresh({ idpCalls, nearCaches }: Refresh): void {
    const renewed = nearCaches.filter((nearCache) => nearCache.renewed).length;
    const requests = nearCaches.reduce((sum, nearCache) => sum + nearCache.requests, 0);
    this.#say(
      `The new token was pushed to ${String(renewed)} of ${String(nearCaches.length)} near caches, which sent ` +
        `${count(requests)} requests for it. The OpenID provider was called ${times(idpCalls)}.`,
    );
  }

  beginRevocation(): void {
    this.#step('The token has leaked: operations take it back.');
    this.#say(this.#screen.colour('cyan', `$ tokenctl ${REVOKE_ARGUMENTS.join(' ')}`));
    this.#screen.wait('every broker and every near cache to confirm');
  }

  revocation({ complete, confirmed, brokers, idpCalls, nearCaches, brokerTookMs }: Revocation): void {
    this.#say(
      `tokenctl: ${complete ? 'complete' : 'NOT complete'} after ${milliseconds(brokerTookMs)}; confirmed by ` +
        `${String(brokers.acked)} of ${String(brokers.expected)} brokers and ${String(confirmed)} near caches. ` +
        `The OpenID provider was called ${times(idpCalls)}.`,
    );
    this.#screen.line();
    const rows = nearCaches.map(({ service, droppedAfterMs, renewedAfterMs }) => [
      service,
      droppedAfterMs === null ? 'never' : `${droppedAfterMs.toFixed(1)} ms`,
      renewedAfterMs === null ? 'never' : `${renewedAfterMs.toFixed(1)} ms`,
    ]);
    for (const line of table(['near cache of', 'dropped the token after', 'had the new one after'], rows))
      this.#screen.line(`   ${line}`);
  }

  totals({ totals }: Observations): void {
    this.#screen.line();
    this.#screen.line(`Calls for a token of ${PAYMENTS}, and who answered them:`);
    this.#screen.line();
    const rows = [
      ['near cache, in the service’s own process', count(totals.nearCacheHits)],
      ['waited for another call of the same process', count(totals.joined)],
      ['asked a broker', count(totals.asked)],
      ['all calls', count(totals.served)],
      ['', ''],
      ['brokers: from memory', count(totals.brokerMemory)],
      ['brokers: from Redis', count(totals.brokerRedis)],
      ['brokers: by the one flight to the IdP', count(totals.brokerFlight)],
      ['', ''],
      ['OpenID provider', count(totals.idpCalls)],
      ['IdP calls saved', count(totals.served - totals.idpCalls)],
    ];
    for (const line of table(['answered by', 'requests'], rows)) this.#screen.line(line);
  }

  claims(claims: readonly Claim[]): void {
    this.#screen.line();
    for (const claim of claims) {
      const mark = claim.true ? this.#screen.colour('green', 'true ') : this.#screen.colour('red', 'FALSE');
      this.#screen.line(`  ${mark}  ${claim.sentence}: ${this.#screen.colour('bold', figureOf(claim))}`);
      if (!claim.true) this.#screen.line(this.#screen.colour('red', `         expected: ${claim.expected}`));
    }
    const untrue = claims.filter((claim) => !claim.true).length;
    this.#screen.line();
    this.#screen.line(
      untrue === 0
        ? `All ${String(claims.length)} claims were checked, and are true.`
        : this.#screen.colour('red', `${String(untrue)} of ${String(claims.length)} claims are not true.`),
    );
  }

  say(line = ''): void {
    this.#screen.line(line);
  }

  #step(sentence: string): void {
    this.#steps += 1;
    this.#screen.line();
    this.#screen.line(this.#screen.colour('bold', `${String(this.#steps)}. ${sentence}`));
  }

  #say(sentence: string): void {
    this.#screen.line(`   ${sentence}`);
  }
}

function figureOf({ figure, unit }: Claim): string {
  const shown = typeof figure === 'number' ? count(figure) : figure;
  if (unit === undefined || figure === 'never') return shown;
  return `${shown} ${figure === 1 ? unit.replace(/s$/, '') : unit}`;
}

function outcome({ code, message }: { readonly code: string; readonly message: string }): string {
  return code === 'ok' ? 'it gets a token' : `${code} (${message})`;
}

function same(distinct: number): string {
  return distinct === 1 ? 'the same token' : `${String(distinct)} different tokens`;
}

function times(calls: number): string {
  if (calls === 1) return 'once';
  return calls === 0 ? 'not at all' : `${count(calls)} times`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${count(Math.round(ms))} ms`;
}
