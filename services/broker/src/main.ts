#!/usr/bin/env node
import { createSystemClock } from '@token-broker/foundation';
import { formatProblems, loadConfiguration } from '@token-broker/configuration';
import { Command } from 'commander';
import { followFiles } from './adapters/files/follow-files.js';
import { CannotStart, startBroker } from './compose.js';
import { KeyringMismatch } from './app/tokens/recipe-key.js';
import { version } from './version.js';

/** Exit codes: what is wrong with the configuration is told from what goes wrong later. */
const EXIT_CONFIGURATION = 2;
const EXIT_FAILED = 1;
/** How long a drain may take; orchestrators kill after 30 s by default. */
const DRAIN_MS = 25_000;

const program = new Command('token-broker')
  .description(
    'A broker replica: fetches tokens once, shares them sealed, refreshes them ahead, revokes them everywhere.',
  )
  .version(version)
  .requiredOption('--config <file>', 'the configuration file (docs/configuration.md)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_CONFIGURATION))
  .addHelpText(
    'after',
    '\nExamples:\n  token-broker --config /etc/token-broker/broker.yaml\n  kill -HUP <pid>    reads the configuration again\n',
  );

program.parse();
await run(program.opts<{ config: string }>().config);

async function run(path: string): Promise<void> {
  const loaded = await loadConfiguration(path, { env: process.env });
  if (!loaded.ok) {
    process.stderr.write(`${formatProblems(loaded.error.problems, loaded.error.file)}\n`);
    process.exit(EXIT_CONFIGURATION);
  }
  if (loaded.value.warnings.length > 0) process.stderr.write(`${formatProblems(loaded.value.warnings, path)}\n`);

  const broker = await startBroker(loaded.value.configuration, {
    path,
    env: process.env,
    onFiles: (files, isWhole) => {
      watch.follow(files, isWhole);
    },
  });
  const watch = followFiles(loaded.value.files, () => void broker.reload(), createSystemClock());
  process.on('SIGHUP', () => void broker.reload());

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    broker.log.info('broker: draining', { signal });
    watch.close();
    await broker.stop(DRAIN_MS);
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));

  try {
    await broker.serving;
  } catch (error) {
    const isFixable = error instanceof CannotStart || error instanceof KeyringMismatch;
    process.stderr.write(`token-broker cannot start: ${isFixable ? error.message : String(error)}\n`);
    process.exit(isFixable ? EXIT_CONFIGURATION : EXIT_FAILED);
  }
}
