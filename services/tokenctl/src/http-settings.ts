import type { TraceHeaders } from '@token-broker/client/tracing';
import { Redacted } from '@token-broker/foundation';
import { usageFailure } from './command-failure.js';
import { contentOf, type GlobalOptions, type SettingsSource } from './connection-settings.js';
import type { Context } from './contexts/context.js';
import { traceOf } from './trace.js';

/** Where a broker's HTTP door is, and who we are to it. */
export interface HttpSettings {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token?: Redacted;
  /** PEM. */
  readonly cert?: string;
  readonly key?: Redacted;
  readonly ca?: string;
  /** Bounds each request. */
  readonly timeoutMs: number;
  /** The trace that requests belong to. */
  readonly trace?: TraceHeaders;
}

/**
 * `undefined` where NATS is the way: no URL is given, or a NATS server is named more nearly than one. The token of a context
 * goes to the URL of that context alone.
 *
 * @throws {CommandFailure} for options that exclude each other, an unreadable file, a URL without TLS off loopback, no credentials
 */
export async function httpSettings(
  options: GlobalOptions,
  source: SettingsSource,
  context?: Context,
): Promise<HttpSettings | undefined> {
  const variable = (name: string): string | undefined => {
    const value = source.env[`TOKENCTL_${name}`];
    return value === '' ? undefined : value;
  };
  if (options.url !== undefined && options.server !== undefined)
    throw usageFailure('--url and --server exclude each other', 'Give one way to the brokers.');
  const given = options.url ?? (options.server === undefined ? variable('URL') : undefined);
  const isOfContext = given === undefined && options.server === undefined && variable('SERVER') === undefined;
  const ofContext = isOfContext ? context : undefined;
  const url = given ?? ofContext?.url;
  if (url === undefined) return undefined;
  const read = (file: string | undefined, option: string): Promise<string | undefined> =>
    file === undefined ? Promise.resolve(undefined) : contentOf(file, option, source);
  const token = await tokenOf(options, variable, ofContext, source);
  const cert = await read(options.tlsCert ?? variable('TLS_CERT') ?? ofContext?.tlsCert, '--tls-cert');
  const key = await read(options.tlsKey ?? variable('TLS_KEY') ?? ofContext?.tlsKey, '--tls-key');
  if ((cert === undefined) !== (key === undefined))
    throw usageFailure('--tls-cert and --tls-key belong together', 'Give both, or a token.');
  if (token === undefined && cert === undefined)
    throw usageFailure(
      'there is neither a token nor a client certificate for --url',
      'Give --token-file ("-" reads standard input), set TOKENCTL_TOKEN, or give --tls-cert and --tls-key.',
    );
  const ca = await read(options.tlsCa ?? variable('TLS_CA') ?? ofContext?.tlsCa, '--tls-ca');
  return {
    url: checkedUrl(url),
    timeoutMs: options.timeout,
    ...traceOf(source),
    ...(token === undefined ? {} : { token: new Redacted(token) }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: new Redacted(key) }),
    ...(ca === undefined ? {} : { ca }),
  };
}

async function tokenOf(
  options: GlobalOptions,
  variable: (name: string) => string | undefined,
  context: Context | undefined,
  source: SettingsSource,
): Promise<string | undefined> {
  const own = variable('TOKEN');
  const file = options.tokenFile ?? (own === undefined ? (variable('TOKEN_FILE') ?? context?.tokenFile) : undefined);
  const token = file === undefined ? own : (await contentOf(file, '--token-file', source)).trim();
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw usageFailure('what --token-file or TOKENCTL_TOKEN holds is no token', 'It is one line of visible ASCII.');
  return token;
}

/** @throws {CommandFailure} for what is no such address, holds credentials, or would send a token in clear */
export function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw usageFailure('--url is not the address of a broker', 'Write it as https://broker-1.example.com:9465.');
  if (url.username !== '' || url.password !== '')
    throw usageFailure(
      '--url holds credentials: everybody who can list processes would read them',
      'Give --token-file, or TOKENCTL_TOKEN.',
    );
  if (url.protocol === 'http:' && !/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname))
    throw usageFailure('--url is without TLS: whoever listens on the way would have the token', 'Write https://.');
  return url.href.replace(/\/+$/, '');
}
