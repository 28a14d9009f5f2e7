import { GUARANTEES, type Guarantee } from '../checker/violation.js';
import { KINDS, type FaultGroup } from '../faults/catalogue.js';
import type { Told } from './messages.js';

/** A run of so many seeds must have had every fault and every check at work. */
const ALL_BY_SEEDS = 1_000;

/** What many runs came to. */
export class Totals {
  seeds = 0;
  steps = 0;
  simulatedMs = 0;
  idpCalls = 0;
  readonly violations: Told[] = [];
  readonly struck = new Map<string, number>();
  readonly exercised = new Map<Guarantee, number>();
  readonly refusals = new Map<string, number>();
  readonly revocations = { complete: 0, incomplete: 0, failed: 0 };

  add(outcome: Told): void {
    this.seeds++;
    this.steps += outcome.steps;
    this.simulatedMs += outcome.simulatedMs;
    this.idpCalls += outcome.idpCalls;
    if (outcome.violation !== undefined) this.violations.push(outcome);
    for (const [name, count] of outcome.struck) raise(this.struck, name, count);
    for (const name of GUARANTEES) raise(this.exercised, name, outcome.exercised[name]);
    for (const [code, count] of outcome.refusals) raise(this.refusals, code, count);
    for (const name of ['complete', 'incomplete', 'failed'] as const)
      this.revocations[name] += outcome.revocations[name];
  }

  /** What should have been at work and was not: a check that never had anything to do has failed. */
  idle(groups: ReadonlySet<FaultGroup> | undefined): string[] {
    if (this.seeds < ALL_BY_SEEDS) return [];
    const kinds = KINDS.filter(({ group }) => group === 'operation' || (groups?.has(group) ?? true));
    const names = [...kinds.map(({ name }) => name), ...GUARANTEES];
    const counts = new Map<string, number>([...this.struck, ...this.exercised]);
    return names.filter((name) => (counts.get(name) ?? 0) === 0);
  }
}

function raise<K>(counts: Map<K, number>, name: K, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
