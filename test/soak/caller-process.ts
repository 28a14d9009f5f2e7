import { fileURLToPath } from 'node:url';
import { startProgram, type Program } from '@token-broker/testing';
import type { CallerLine, CallerReport, CallerSettings } from './caller-messages.js';

const PROGRAM = fileURLToPath(new URL('caller-program.ts', import.meta.url));
/** Node and the programs' loader start slowly on a loaded machine. */
const STARTED_WITHIN_MS = 30_000;

/** Callers in a process of their own. */
export interface CallerProcess {
  /** How far it is. */
  progress(): { readonly calls: number; readonly errors: number };
  /** Resolves when it has made its last call. @throws {Error} when it takes longer than `withinMs` beyond its time */
  report(withinMs: number): Promise<CallerReport>;
  stop(): Promise<unknown>;
}

/** Starts callers, and waits until they are connected. */
export async function startCallers(settings: CallerSettings): Promise<CallerProcess> {
  const program: Program = startProgram(PROGRAM, {
    args: [JSON.stringify(settings)],
    nodeArgs: ['--import', 'tsx', '--conditions=token-broker:source'],
  });
  await program.waitForLine(/"kind":"started"/, STARTED_WITHIN_MS);
  const linesOf = <K extends CallerLine['kind']>(kind: K): Extract<CallerLine, { kind: K }>[] =>
    program.stdout
      .map((line) => JSON.parse(line) as CallerLine)
      .filter((line): line is Extract<CallerLine, { kind: K }> => line.kind === kind);
  return {
    progress: () => linesOf('progress').at(-1) ?? { calls: 0, errors: 0 },
    async report(withinMs) {
      await program.waitForLine(/"kind":"done"/, settings.runMs + withinMs);
      const [done] = linesOf('done');
      if (done === undefined) throw new Error('the callers have not reported');
      return done.report;
    },
    stop: () => program.stop(),
  };
}
