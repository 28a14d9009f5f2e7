import { Command, CommanderError, Option } from 'commander';
import { toCommandFailure, usageFailure } from './command-failure.js';
import { auditCommand } from './commands/audit.js';
import { checkCommand } from './commands/check.js';
import { completionCommand } from './commands/completion.js';
import { contextCommand } from './commands/context.js';
import { describeCommand } from './commands/describe.js';
import { doctorCommand } from './commands/doctor.js';
import { getCommand } from './commands/get.js';
import { logoutCommand } from './commands/logout.js';
import { natsPermissionsCommand } from './commands/nats-permissions.js';
import { pauseCommand, resumeCommand } from './commands/pause.js';
import { quotaCommand } from './commands/quota.js';
import { refreshCommand } from './commands/refresh.js';
import { refreshTokenCommand } from './commands/refresh-token.js';
import { reloadCommand } from './commands/reload.js';
import { revokeCommand } from './commands/revoke.js';
import { slotsCommand } from './commands/slots.js';
import { sourcesCommand } from './commands/sources.js';
import { statusCommand } from './commands/status.js';
import { topCommand } from './commands/top.js';
import { watchCommand } from './commands/watch.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { examples, Invocation } from './invocation.js';
import { once, refuseSecrets, timeout } from './option-parsers.js';
import { createPrinter } from './output/printer.js';
import type { Surroundings } from './surroundings.js';
import { version } from './version.js';

const DEFAULT_TIMEOUT_MS = 10_000;

const EXIT_CODES = `
Exit codes:
  0  done
  1  not all that was asked for is true, such as an incomplete revocation
  2  the command line or a configuration is wrong
  3  NATS, brokers, Redis or an identity provider are away, or time ran out
  4  denied, by NATS, by policy or by an identity provider
  5  nothing matched, with --fail-if-nothing`;

/**
 * Runs `tokenctl` once.
 *
 * @param args without the program's own name
 * @returns the exit code; expected failures are printed, never thrown
 */
export async function runTokenctl(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const invocation = new Invocation(surroundings);
  try {
    refuseSecrets(args);
    await createProgram(invocation).parseAsync(args, { from: 'user' });
    return invocation.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      // Without a command the help has been printed, and says more than any error.
      if (error.code === 'commander.help') return EXIT.usage;
    }
    const failure = error instanceof CommanderError ? misuse(error) : toCommandFailure(error);
    // The options could not be read, or could: the arguments say in either case what the reader wants.
    const [json, color] = [args.includes('--json'), !args.includes('--no-color')];
    createPrinter(surroundings, { json, color, verbose: false }).failure(failure);
    return failure.exitCode;
  }
}

function misuse({ message }: CommanderError): ReturnType<typeof usageFailure> {
  const text = message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return usageFailure(text, 'See `tokenctl --help`, and `tokenctl <command> --help` for its options and examples.');
}

function createProgram(invocation: Invocation): Command {
  const { stdout, stderr } = invocation.surroundings;
  const program = new Command('tokenctl')
    .description('Get, list and revoke tokens of a token broker, and look after its configuration.')
    .version(version)
    .option(
      '--server <urls>',
      'NATS servers, with commas between them; TOKENCTL_SERVER (default: nats://127.0.0.1:4222)',
      once,
    )
    .option('--user <name>', 'the NATS user; TOKENCTL_USER, with TOKENCTL_PASSWORD', once)
    .option('--password-file <file>', 'its password, "-" for standard input; TOKENCTL_PASSWORD_FILE', once)
    .option('--creds <file>', 'NATS credentials instead (JWT and seed); TOKENCTL_CREDS', once)
    .option('--nkey-file <file>', 'an nkey seed instead; TOKENCTL_NKEY_FILE', once)
    .option('--tls-ca <file>', 'the authority that signed the servers’ certificates (PEM); TOKENCTL_TLS_CA', once)
    .option('--url <url>', 'the HTTP door of one broker, instead of NATS; TOKENCTL_URL', once)
    .option('--token-file <file>', 'an operator’s token for --url, "-" for standard input; TOKENCTL_TOKEN_FILE', once)
    .option('--tls-cert <file>', 'a client certificate for --url instead (PEM); TOKENCTL_TLS_CERT', once)
    .option('--tls-key <file>', 'its private key; TOKENCTL_TLS_KEY', once)
    .option('--caller <name>', 'who asks, as under `callers:`; TOKENCTL_CALLER (default: the user)', once)
    .option('--prefix <name>', 'the first token of every subject; TOKENCTL_PREFIX (default: token-broker)', once)
    .option('--context <name>', 'the context whose options count where none are given; TOKENCTL_CONTEXT', once)
    .addOption(
      new Option('--timeout <duration>', 'for connecting, and for each request')
        .argParser(timeout)
        .default(DEFAULT_TIMEOUT_MS, '10s'),
    )
    .option('--json', 'one JSON object on standard output, whether it works or not')
    .option('--no-color', 'no colours; also NO_COLOR')
    .option('--verbose', 'say on standard error what the cache of tokens does')
    .addHelpText('after', EXIT_CODES)
    .addHelpText(
      'after',
      examples('tokenctl status --user ops --password-file ./ops.password', 'tokenctl revoke --help'),
    );
  const commands = [
    getCommand(invocation),
    contextCommand(invocation),
    logoutCommand(invocation),
    statusCommand(invocation),
    sourcesCommand(invocation),
    slotsCommand(invocation),
    describeCommand(invocation),
    quotaCommand(invocation),
    revokeCommand(invocation),
    pauseCommand(invocation),
    resumeCommand(invocation),
    refreshCommand(invocation),
    watchCommand(invocation),
    topCommand(invocation),
    refreshTokenCommand(invocation),
    reloadCommand(invocation),
    auditCommand(invocation),
    doctorCommand(invocation),
    checkCommand(invocation),
    natsPermissionsCommand(invocation),
    completionCommand(invocation),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands, ...commands.flatMap(({ commands: inner }) => inner)]) {
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({
        writeOut: (text) => stdout.write(text),
        writeErr: (text) => stderr.write(text),
        // Errors are printed once, where all of them are.
        outputError: () => undefined,
      });
  }
  return program;
}
