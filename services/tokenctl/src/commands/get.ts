import type { SourceOptions, Token } from '@token-broker/client';
import { formatDuration } from '@token-broker/foundation';
import { Command, Option } from 'commander';
import { usageFailure } from '../command-failure.js';
import { examples, type Invocation } from '../invocation.js';
import { duration, once, requireSource } from '../option-parsers.js';
import type { Printer } from '../output/printer.js';
import { generationTime } from '../output/texts.js';
import { tokensFromInput } from '../standard-input.js';

type OutputForm = 'token' | 'json' | 'header';

interface GetOptions {
  readonly scope?: string;
  readonly audience?: string;
  readonly resource?: string;
  /** Milliseconds. */
  readonly minTtl?: number;
  readonly output?: OutputForm;
  readonly subjectTokenStdin?: true;
}

/** `get`: the token alone on standard output, so that it can be piped; what is known of it on standard error. */
export function getCommand(invocation: Invocation): Command {
  return new Command('get')
    .summary('print an access token')
    .description(
      'Prints the access token of a source on standard output, alone, so that it can be piped. What is known of it goes to standard error.',
    )
    .argument('<source>', 'the name under `sources:`')
    .option('--scope <scopes>', 'scopes, with spaces between them; without it the source’s own', once)
    .option('--audience <text>', 'the audience; without it the source’s own', once)
    .option('--resource <uri>', 'the resource (RFC 8707)', once)
    .option('--min-ttl <duration>', 'the least remaining life that is of use, such as 30s', duration)
    .option(
      '--subject-token-stdin',
      'on behalf of the subject token on standard input; an actor token in a second line',
    )
    .addOption(
      new Option('--output <form>', 'what goes to standard output (default: token)').choices([
        'token',
        'json',
        'header',
      ]),
    )
    .addHelpText(
      'after',
      examples(
        'tokenctl get payments-api --user orders --password-file ./orders.password',
        'tokenctl get payments-api --scope "payments:read" --min-ttl 5m --output json',
        'tokenctl get invoices --subject-token-stdin < subject-token.txt',
        'tokenctl get payments-api --output header | curl -H @- https://payments.example.com/',
      ),
    )
    .action(async (given: string, options: GetOptions, command: Command) => {
      const printer = invocation.printer(command);
      const form = formOf(options.output, printer.isJson);
      const source = requireSource(given);
      const parameters = { ...parametersOf(options), ...(await subjectOf(invocation, command, options)) };
      const token = await invocation.throughDoor(command, (door) => door.get(source, parameters, options.minTtl));
      invocation.surroundings.stdout.write(`${rendered(source, token, form)}\n`);
      describe(printer, source, token, options.minTtl);
    });
}

function formOf(output: OutputForm | undefined, isJson: boolean): OutputForm {
  if (isJson && output !== undefined && output !== 'json')
    throw usageFailure(`--json and --output ${output} exclude each other`, 'Give one of them.');
  return output ?? (isJson ? 'json' : 'token');
}

function parametersOf({ scope, audience, resource }: GetOptions): SourceOptions {
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
  };
}

async function subjectOf(
  invocation: Invocation,
  command: Command,
  { subjectTokenStdin }: GetOptions,
): Promise<SourceOptions> {
  if (subjectTokenStdin === undefined) return {};
  const [subjectToken = '', actorToken] = await tokensFromInput(invocation, command, 'subject token', 2);
  return { subjectToken, ...(actorToken === undefined ? {} : { actorToken }) };
}

function rendered(source: string, token: Token, form: OutputForm): string {
  const { accessToken, tokenType, scope, expiresInMs, epoch, generation, verified } = token;
  switch (form) {
    case 'token':
      return accessToken;
    case 'header':
      // Type names have no case, but many resource servers know only this one.
      return `Authorization: ${/^bearer$/i.test(tokenType) ? 'Bearer' : tokenType} ${accessToken}`;
    case 'json':
      return JSON.stringify({ source, accessToken, tokenType, scope, expiresInMs, epoch, generation, verified });
  }
}

function describe(printer: Printer, source: string, token: Token, minTtlMs: number | undefined): void {
  const scope = token.scope === undefined ? '' : `, scope ${JSON.stringify(token.scope)}`;
  printer.note(
    `${source}: ${token.tokenType}, expires in ${formatDuration(token.expiresInMs)}, generation ${generationTime(token.generation)}${scope}`,
  );
  if (!token.verified)
    printer.warning('the broker cannot see Redis now: use this token once; it may have been revoked elsewhere');
  if (minTtlMs !== undefined && token.expiresInMs < minTtlMs)
    printer.warning(`less life is left than ${formatDuration(minTtlMs)}: tokens of this source live too short for it`);
}
