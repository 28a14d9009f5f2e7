import type { Bug } from '../bugs/bug.js';
import { converge } from '../checker/convergence.js';
import type { Guarantee, Violation } from '../checker/violation.js';
import { Striker } from '../faults/striker.js';
import type { Scenario } from '../scenario.js';
import { World } from '../world/world.js';

/** What came of one run. */
export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly steps: number;
  readonly simulatedMs: number;
  readonly struck: ReadonlyMap<string, number>;
  /** The entries that struck, in the order in which they did. */
  readonly order: Scenario['entries'];
  readonly exercised: Readonly<Record<Guarantee, number>>;
  readonly refusals: ReadonlyMap<string, number>;
  readonly idpCalls: number;
  readonly revocations: { readonly complete: number; readonly incomplete: number; readonly failed: number };
  /** The whole story, where it was recorded. */
  readonly timeline: string | undefined;
}

export interface RunOptions {
  readonly bug?: Bug | undefined;
  /** Keeps a timeline: slower. */
  readonly recorded?: boolean;
}

/** How often a run looks for calls that should have ended. */
const OVERDUE_EVERY_STEPS = 64;

/** Runs one world from its beginning until everything is well again, or the first violation. */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<Outcome> {
  const undo = options.bug?.patch?.();
  const rejections = watchRejections();
  try {
    const world = new World(scenario, options);
    const { checker, loop } = world;
    const striker = new Striker(world, scenario.entries);
    const mayGoOn = (): boolean => {
      const [broken] = rejections.seen;
      if (broken !== undefined)
        checker.report('fault', `a promise was rejected and nobody looked: ${broken}`, loop.nowMs);
      if (loop.steps % OVERDUE_EVERY_STEPS === 0) lookForOverdue(world);
      return checker.violation === undefined;
    };
    await loop.run(scenario.troubleUntilMs, mayGoOn);
    if (mayGoOn()) {
      striker.heal();
      const problem = await converge(world, mayGoOn);
      checker.exercised.convergence++;
      if (problem !== undefined) checker.report('convergence', problem, loop.nowMs);
    }
    return {
      seed: scenario.seed,
      violation: checker.violation,
      steps: loop.steps,
      simulatedMs: loop.nowMs,
      struck: striker.struck,
      order: striker.order,
      exercised: checker.exercised,
      refusals: world.counts.refusals,
      idpCalls: world.idp.calls,
      revocations: world.operator.counts,
      timeline: world.timeline?.render(),
    };
  } finally {
    rejections.stop();
    undo?.();
  }
}

function lookForOverdue({ clients, checker, loop }: World): void {
  for (const client of clients) {
    checker.exercised.deadline++;
    const slot = client.overdue;
    if (slot !== undefined)
      checker.report('deadline', `${client.process.name}: a call for ${slot} has not ended in its time`, loop.nowMs);
  }
}

/** What the real code would have died of: a rejection that nobody handles. */
function watchRejections(): { readonly seen: readonly string[]; stop(): void } {
  const seen: string[] = [];
  const note = (reason: unknown): void => {
    seen.push(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason));
  };
  process.on('unhandledRejection', note);
  return {
    seen,
    stop: () => {
      process.off('unhandledRejection', note);
    },
  };
}
