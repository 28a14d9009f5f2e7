import { createHash } from 'node:crypto';
import { join, resolve, isAbsolute } from 'node:path';
import type { SourceOptions } from '@token-broker/client';
import { DEFAULT_SUBJECT_PREFIX, getRequestSchema, isIdentifier, slotOf, subjectHashOf } from '@token-broker/protocol';
import type { ConnectionSettings, NatsLogin } from '../connection-settings.js';

const FOLDER = 'tokenctl';

/** Where in the cache a token is. Whatever can change the token is in one of these. */
export interface CacheKey {
  /** {@link placeOf} the connection: which brokers, and as which caller. A directory. */
  readonly place: string;
  /** {@link loginIdOf} the connection: who that is to the NATS server. */
  readonly login: string;
  readonly source: string;
  /** Of source, scopes, audience, resource and subject, as everywhere. */
  readonly slot: string;
}

/**
 * The directory of this user's cache: `TOKENCTL_CACHE_DIR`, else `tokenctl` in the directory for caches of the system.
 * `undefined`: the environment says of none.
 */
export function cacheDirectory(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string | undefined {
  const given = env['TOKENCTL_CACHE_DIR'] ?? '';
  if (given !== '') return resolve(given);
  // A relative path there is to be ignored (XDG Base Directory Specification).
  const xdg = env['XDG_CACHE_HOME'] ?? '';
  if (isAbsolute(xdg)) return join(xdg, FOLDER);
  const home = env['HOME'] ?? '';
  if (!isAbsolute(home)) return undefined;
  return platform === 'darwin' ? join(home, 'Library', 'Caches', FOLDER) : join(home, '.cache', FOLDER);
}

/** The servers, the prefix and the caller, as 22 characters. */
export function placeOf(settings: Pick<ConnectionSettings, 'servers' | 'subjectPrefix' | 'caller'>): string {
  const servers = settings.servers.map((server) =>
    (server.includes('://') ? server : `nats://${server}`).toLowerCase(),
  );
  return digestOf(['place', servers.sort(), settings.subjectPrefix ?? DEFAULT_SUBJECT_PREFIX, settings.caller]);
}

/**
 * Who logs in, and whom the servers are known by, as 22 characters. Of a user it has the name alone: a hash of a password
 * that people chose could be tried out. Of creds and seeds, which nobody can guess, it has all.
 */
function loginIdOf({ login, ca }: Pick<ConnectionSettings, 'login' | 'ca'>): string {
  return digestOf(['login', login.kind, nameOf(login), ca ?? null]);
}

function nameOf(login: NatsLogin): string | null {
  switch (login.kind) {
    case 'none':
      return null;
    case 'user':
      return login.user;
    case 'creds':
      return login.creds.reveal();
    case 'nkey':
      return login.seed.reveal();
  }
}

/** The key of a request, or `undefined` for one that is not well formed: the client library says what is wrong with it. */
export function cacheKeyOf(
  settings: ConnectionSettings,
  source: string,
  parameters: SourceOptions,
): CacheKey | undefined {
  const parsed = getRequestSchema.safeParse(parameters);
  if (!isIdentifier(source) || !parsed.success) return undefined;
  const { scope, audience, resource, subjectToken, actorToken } = parsed.data;
  const slot = slotOf(source, {
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    ...(subjectToken === undefined ? {} : { subjectHash: subjectHashOf(subjectToken, actorToken) }),
  });
  return { place: placeOf(settings), login: loginIdOf(settings), source, slot };
}

function digestOf(parts: readonly unknown[]): string {
  return createHash('sha256')
    .update(JSON.stringify(['token-broker.tokenctl-cache.v1', ...parts]))
    .digest()
    .subarray(0, 16)
    .toString('base64url');
}
