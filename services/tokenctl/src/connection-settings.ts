import type { TraceHeaders } from '@token-broker/client/tracing';
import { Redacted } from '@token-broker/foundation';
import { isIdentifier } from '@token-broker/protocol';
import { usageFailure } from './command-failure.js';
import type { Context } from './contexts/context.js';
import { traceOf } from './trace.js';

const DEFAULT_SERVER = 'nats://127.0.0.1:4222';

/** The options that every command takes, as they were given. */
export interface GlobalOptions {
  readonly server?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly creds?: string;
  readonly nkeyFile?: string;
  readonly tlsCa?: string;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly caller?: string;
  readonly prefix?: string;
  /** The name of a context. */
  readonly context?: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly json?: true;
  readonly color: boolean;
  readonly verbose?: true;
}

/** Who we are to the NATS server. */
export type NatsLogin =
  | { readonly kind: 'none' }
  | { readonly kind: 'user'; readonly user: string; readonly password: Redacted }
  | { readonly kind: 'creds'; readonly creds: Redacted }
  | { readonly kind: 'nkey'; readonly seed: Redacted };

/** Where to connect, as whom. */
export interface ConnectionSettings {
  readonly servers: readonly string[];
  readonly login: NatsLogin;
  /** PEM. */
  readonly ca?: string;
  readonly caller: string;
  readonly subjectPrefix?: string;
  /** Bounds connecting, and each request. */
  readonly timeoutMs: number;
  /** The trace that requests belong to. */
  readonly trace?: TraceHeaders;
}

/** Where settings come from beside the options. */
export interface SettingsSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; `-` is standard input. */
  readFile(path: string): Promise<string>;
}

/**
 * Options win over the environment, and that over the context: one way of logging in that is given as an option makes the
 * variables of the others count for nothing, and either makes those of the context, with its caller. Nobody's password goes
 * with somebody else's name.
 *
 * @throws {CommandFailure} for options that exclude each other, an unreadable file, a missing password or caller
 */
export async function connectionSettings(
  options: GlobalOptions,
  source: SettingsSource,
  context?: Context,
): Promise<ConnectionSettings> {
  const variable = (name: string): string | undefined => {
    const value = source.env[`TOKENCTL_${name}`];
    return value === '' ? undefined : value;
  };
  const given = [options.user, options.creds, options.nkeyFile, ...['USER', 'CREDS', 'NKEY_FILE'].map(variable)];
  const ofLogin = given.some((value) => value !== undefined) ? undefined : context;
  const login = await loginOf(options, variable, source, ofLogin);
  const caller =
    options.caller ?? variable('CALLER') ?? ofLogin?.caller ?? (login.kind === 'user' ? login.user : undefined);
  if (caller === undefined)
    throw usageFailure(
      'it is not said who asks',
      'Give --user (with TOKENCTL_PASSWORD or --password-file), or --caller with the name under `callers:`.',
    );
  requireIdentifier('caller', caller);
  const subjectPrefix = options.prefix ?? variable('PREFIX') ?? context?.prefix;
  if (subjectPrefix !== undefined) requireIdentifier('prefix', subjectPrefix);
  const caFile = options.tlsCa ?? variable('TLS_CA') ?? context?.tlsCa;
  return {
    servers: serversOf(options.server ?? variable('SERVER') ?? context?.server),
    login,
    caller,
    timeoutMs: options.timeout,
    ...traceOf(source),
    ...(subjectPrefix === undefined ? {} : { subjectPrefix }),
    ...(caFile === undefined ? {} : { ca: await contentOf(caFile, '--tls-ca', source) }),
  };
}

async function loginOf(
  options: GlobalOptions,
  variable: (name: string) => string | undefined,
  source: SettingsSource,
  context: Context | undefined,
): Promise<NatsLogin> {
  const given = { user: options.user, creds: options.creds, nkey: options.nkeyFile };
  const fromOptions = Object.values(given).some((value) => value !== undefined);
  const { user, creds, nkey } = fromOptions
    ? given
    : {
        user: variable('USER') ?? context?.user,
        creds: variable('CREDS') ?? context?.creds,
        nkey: variable('NKEY_FILE') ?? context?.nkeyFile,
      };
  if ([user, creds, nkey].filter((value) => value !== undefined).length > 1) {
    const where = fromOptions ? '--user, --creds and --nkey-file' : 'TOKENCTL_USER, TOKENCTL_CREDS, TOKENCTL_NKEY_FILE';
    throw usageFailure(`${where} exclude each other`, 'Give one of them.');
  }
  if (options.passwordFile !== undefined && user === undefined)
    throw usageFailure('--password-file without a user', 'Give --user too.');
  if (creds !== undefined) return { kind: 'creds', creds: new Redacted(await contentOf(creds, '--creds', source)) };
  if (nkey !== undefined) {
    return { kind: 'nkey', seed: new Redacted((await contentOf(nkey, '--nkey-file', source)).trim()) };
  }
  if (user === undefined) return { kind: 'none' };
  const file =
    options.passwordFile ??
    (variable('PASSWORD') === undefined ? (variable('PASSWORD_FILE') ?? context?.passwordFile) : undefined);
  const password =
    file === undefined
      ? variable('PASSWORD')
      : (await contentOf(file, '--password-file', source)).replace(/[\r\n]+$/, '');
  if (password === undefined || password === '')
    throw usageFailure(
      `there is no password for the NATS user ${JSON.stringify(user)}`,
      'Set TOKENCTL_PASSWORD, or give --password-file ("-" reads standard input).',
    );
  return { kind: 'user', user, password: new Redacted(password) };
}

/** @throws {CommandFailure} for options that no context can keep: they exclude each other, or are not well formed */
export function checkConnectionOptions(options: GlobalOptions): void {
  const { server, user, creds, nkeyFile, passwordFile, caller, prefix } = options;
  if (server !== undefined) serversOf(server);
  if ([user, creds, nkeyFile].filter((value) => value !== undefined).length > 1)
    throw usageFailure('--user, --creds and --nkey-file exclude each other', 'Give one of them.');
  if (passwordFile !== undefined && user === undefined)
    throw usageFailure('--password-file without a user', 'Give --user too.');
  const name = callerOf(options);
  if (name !== undefined) requireIdentifier(caller === undefined ? 'user' : 'caller', name);
  if (prefix !== undefined) requireIdentifier('prefix', prefix);
}

/** Who asks, as far as options or a context say. */
export function callerOf({ caller, user }: Pick<GlobalOptions, 'caller' | 'user'>): string | undefined {
  return caller ?? user;
}

/** @throws {CommandFailure} for what is no address of a NATS server, or holds credentials */
export function serversOf(text = DEFAULT_SERVER): string[] {
  const servers = text.split(',').map((server) => server.trim());
  for (const server of servers) {
    const address = server.includes('://') ? server : `nats://${server}`;
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (url === undefined || url.hostname === '' || !/^(nats|tls):$/.test(url.protocol))
      throw usageFailure('--server is not a NATS address', `Write it as ${DEFAULT_SERVER} or tls://nats.example.com.`);
    if (url.username !== '' || url.password !== '')
      throw usageFailure(
        '--server holds credentials: everybody who can list processes would read them',
        'Give --user, with the password in TOKENCTL_PASSWORD or --password-file.',
      );
  }
  return servers;
}

/** @throws {CommandFailure} for a file that cannot be read */
export async function contentOf(file: string, option: string, source: SettingsSource): Promise<string> {
  try {
    return await source.readFile(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    const name = file === '-' ? 'standard input' : `the file ${file}`;
    throw usageFailure(`${option}: ${name} cannot be read (${code})`, 'Check the path and who may read it.');
  }
}

function requireIdentifier(option: string, value: string): void {
  if (!isIdentifier(value))
    throw usageFailure(`--${option} is not a name`, 'A name has 1 to 64 of the characters A-Z a-z 0-9 _ and -.');
}
