import type { SourceOptions, Token } from '@token-broker/client';
import { formatDuration } from '@token-broker/foundation';
import { Command, Option } from 'commander';
import { cacheTtlMs } from '../cache-settings.js';
import { usageFailure } from '../command-failure.js';
import type { GlobalOptions } from '../connection-settings.js';
import { examples, type Invocation } from '../invocation.js';
import { duration, once, requireSource } from '../option-parsers.js';
import type { Printer } from '../output/printer.js';
import { generationTime } from '../output/texts.js';
import { renderToken, TOKEN_FORMS, type TokenForm } from '../output/token-forms.js';
import { tokensFromInput } from '../standard-input.js';
import { cacheKeyOf } from '../token-cache/cache-place.js';

/** Beyond connecting and one request, for what a process does beside them. */
const FETCH_MARGIN_MS = 5_000;

interface GetOptions {
  readonly scope?: string;
  readonly audience?: string;
  readonly resource?: string;
  /** Milliseconds. */
  readonly minTtl?: number;
  readonly output?: TokenForm;
  /** `false` by `--no-cache`. */
  readonly cache: boolean;
  readonly subjectTokenStdin?: true;
}

interface Obtained {
  readonly token: Token;
  readonly isCached: boolean;
}

/** `get`: the token alone on standard output, so that it can be piped; what is known of it on standard error. */
export function getCommand(invocation: Invocation): Command {
  return new Command('get')
    .summary('print an access token')
    .description(
      'Prints the access token of a source on standard output, alone, so that it can be piped. What is known of it goes to standard error. It is kept in a file of this user for a while, so that the next run connects to nothing.',
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
    .option('--no-cache', 'ask a broker, and keep nothing on this machine')
    .addOption(new Option('--output <form>', 'what goes to standard output (default: raw)').choices(TOKEN_FORMS))
    .addHelpText(
      'after',
      examples(
        'tokenctl get payments-api --user orders --password-file ./orders.password',
        'tokenctl get payments-api --scope "payments:read" --min-ttl 5m --output json',
        'tokenctl get invoices --subject-token-stdin < subject-token.txt',
        'tokenctl get payments-api --output header | curl -H @- https://payments.example.com/',
        'eval "$(tokenctl get payments-api --output env)"',
      ),
    )
    .action(async (given: string, options: GetOptions, command: Command) => {
      const printer = invocation.printer(command);
      const form = formOf(options.output, printer.isJson);
      const source = requireSource(given);
      const parameters = { ...parametersOf(options), ...(await subjectOf(invocation, command, options)) };
      const obtained = await obtain(invocation, command, source, parameters, options);
      const { stdout, clock } = invocation.surroundings;
      stdout.write(`${renderToken(source, obtained.token, form, clock.wallMs())}\n`);
      // What kubectl or an SDK starts is not read by people, who would see this line with every command.
      if (form !== 'exec-credential' && form !== 'aws-credential-process') describe(printer, source, obtained);
      warn(printer, obtained.token, options.minTtl);
    });
}

async function obtain(
  invocation: Invocation,
  command: Command,
  source: string,
  parameters: SourceOptions,
  { cache: isCacheWanted, minTtl: minTtlMs }: GetOptions,
): Promise<Obtained> {
  const fetch = (): Promise<Token> => invocation.throughNats(command, (door) => door.get(source, parameters, minTtlMs));
  if (command.optsWithGlobals<GlobalOptions>().url !== undefined)
    throw usageFailure('tokens are not given out over HTTP', 'Leave out --url: `get` goes through NATS.');
  const ttlMs = isCacheWanted ? cacheTtlMs(invocation.surroundings.env) : 0;
  const cache = ttlMs === 0 ? undefined : invocation.tokenCache(command, ttlMs);
  const settings = await invocation.settings(command);
  const key = cacheKeyOf(settings, source, parameters);
  if (cache === undefined || key === undefined) return { token: await fetch(), isCached: false };
  const { timeoutMs } = settings;
  return cache.obtain(key, { minTtlMs, waitMs: timeoutMs, fetchMs: 2 * timeoutMs + FETCH_MARGIN_MS }, fetch);
}

function formOf(output: TokenForm | undefined, isJson: boolean): TokenForm {
  if (isJson && output !== undefined && output !== 'json')
    throw usageFailure(`--json and --output ${output} exclude each other`, 'Give one of them.');
  return output ?? (isJson ? 'json' : 'raw');
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

function describe(printer: Printer, source: string, { token, isCached }: Obtained): void {
  const scope = token.scope === undefined ? '' : `, scope ${JSON.stringify(token.scope)}`;
  printer.note(
    `${source}: ${token.tokenType}, expires in ${formatDuration(token.expiresInMs)}, generation ${generationTime(token.generation)}${scope}${isCached ? ', from the cache' : ''}`,
  );
}

function warn(printer: Printer, token: Token, minTtlMs: number | undefined): void {
  if (!token.verified)
    printer.warning('the broker cannot see Redis now: use this token once; it may have been revoked elsewhere');
  if (minTtlMs !== undefined && token.expiresInMs < minTtlMs)
    printer.warning(`less life is left than ${formatDuration(minTtlMs)}: tokens of this source live too short for it`);
}
