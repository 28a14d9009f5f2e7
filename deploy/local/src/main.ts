#!/usr/bin/env node
import { Command } from 'commander';
import { claimsOf } from './claims.js';
import { invite } from './invitation.js';
import { LocalError } from './local-error.js';
import { Report } from './report.js';
import { runScenario } from './scenario.js';
import { Screen } from './screen.js';
import { startStack, type Stack } from './stack.js';

/** Exit codes, beside 0: every claim was true. */
const EXIT_NOT_TRUE = 1;
const EXIT_USAGE = 2;
const EXIT_NOT_STARTED = 3;
const EXIT_INTERRUPTED = 130;

interface Options {
  readonly once: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
}

const program = new Command('npm start --')
  .description(
    'Starts NATS, Redis, an OpenID provider, 3 brokers and 4 sample services on this machine, shows the main job and checks what it claims.',
  )
  .option('--once', 'end after the scenario; exit code 0 only where every claim was true', false)
  .option('--json', 'print, as the last line, one JSON object with each claim, its figure and its truth', false)
  .option('--verbose', 'show what each process prints', false)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE))
  .addHelpText(
    'after',
    '\nExamples:\n  npm start                     the scenario, then stays up until Ctrl-C\n  npm start -- --once --json    for machines',
  );
program.parse();
process.exitCode = await run(program.opts<Options>());
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit();

async function run(options: Options): Promise<number> {
  const report = new Report(new Screen(process.stdout, process.env), options);
  const interrupted = new AbortController();
  const interruption = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        interrupted.abort(new Error(`interrupted by ${signal}`));
        resolve();
      });
    }
  });

  let stack: Stack | undefined;
  let json: unknown;
  let exitCode: number;
  try {
    report.beginStack();
    stack = await startStack(report, interrupted.signal);
    const loss = new Promise<never>((_, reject) => stack?.onLost(reject));
    const noMore = interruption.then(() => {
      throw new Error('interrupted');
    });
    const observations = await Promise.race([runScenario(stack, report, interrupted.signal), loss, noMore]);
    noMore.catch(() => undefined);
    const claims = claimsOf(observations);
    report.totals(observations);
    report.claims(claims);
    const allTrue = claims.every((claim) => claim.true);
    exitCode = allTrue ? 0 : EXIT_NOT_TRUE;
    json = { ok: allTrue, claims };
    if (!options.once) {
      stack.onLost((error) => {
        report.failure(error);
        report.say('The others go on.');
      });
      await invite(stack, report);
      if (options.json) process.stdout.write(`${JSON.stringify(json)}\n`);
      json = undefined;
      await interruption;
      exitCode = 0;
      report.say();
      report.say('stopping everything');
    }
  } catch (error) {
    if (interrupted.signal.aborted) {
      report.say();
      report.say('interrupted: stopping everything');
      exitCode = EXIT_INTERRUPTED;
    } else {
      const known = error instanceof LocalError ? error : unexpected(error);
      report.failure(known);
      exitCode = stack === undefined ? EXIT_NOT_STARTED : EXIT_NOT_TRUE;
      json = { ok: false, claims: [], error: `${known.message}: ${known.why}` };
    }
  }
  await stack?.stop();
  if (options.json && json !== undefined) process.stdout.write(`${JSON.stringify(json)}\n`);
  return exitCode;
}

function unexpected(error: unknown): LocalError {
  const isServer = error instanceof Error && /^Server(Unavailable|Start)Error$/.test(error.name);
  return new LocalError(isServer ? 'NATS or Redis cannot be started' : 'something unexpected went wrong', {
    why: error instanceof Error ? error.message : String(error),
    next: isServer
      ? 'Run `node deploy/local/setup.mjs`, which gets what is missing, then try again.'
      : 'This is a defect; the stack is below. Try again with --verbose to see what each process prints.',
    lines: isServer || !(error instanceof Error) ? [] : (error.stack ?? '').split('\n').slice(1),
  });
}
