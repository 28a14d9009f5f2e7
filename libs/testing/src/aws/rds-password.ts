import { createHash, createHmac } from 'node:crypto';
import type { KnownKeys } from './request-signature.js';

/** A database with IAM authentication, as its server knows itself. */
export interface RdsDatabase {
  /** With its port, as applications connect to it. */
  readonly host: string;
  readonly region: string;
  /** Access keys by id: whose, IAM knows. */
  readonly keys: ReadonlyMap<string, KnownKeys>;
}

/** AWS allows clocks to differ by so much. */
const CLOCKS_DIFFER_MS = 5 * 60_000;

/**
 * Why a password of RDS is not one for this user of this database now; `undefined`: it is. Worked out by hand (Signature Version 4
 * in the query), with nothing of AWS's own code, which signs.
 */
export function explainRdsPassword(
  password: string,
  user: string,
  { host, region, keys }: RdsDatabase,
  wallMs: number,
): string | undefined {
  const [place, query = ''] = password.split('/?');
  const pairs = query.split('&');
  const parameters = new Map(pairs.map((pair) => pair.split('=').map(decodeURIComponent) as [string, string]));
  const parameter = (name: string): string => parameters.get(name) ?? '';
  if (place !== host) return `it is for ${place ?? ''}`;
  if (parameter('Action') !== 'connect' || parameter('DBUser') !== user) return `it is for ${parameter('DBUser')}`;

  const [keyId = '', day = '', ofRegion, service, end] = parameter('X-Amz-Credential').split('/');
  if (ofRegion !== region || service !== 'rds-db' || end !== 'aws4_request') return 'it is of another scope';
  const known = keys.get(keyId);
  if (known === undefined || (known.sessionToken ?? '') !== parameter('X-Amz-Security-Token'))
    return 'it is signed with an unknown key';
  if (known.endsAtMs !== undefined && known.endsAtMs <= wallMs) return 'what it was signed with has ended';

  const date = parameter('X-Amz-Date');
  const signedAtMs = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!date.startsWith(day) || !(signedAtMs <= wallMs + CLOCKS_DIFFER_MS)) return 'it is of another time';
  const seconds = Number(parameter('X-Amz-Expires'));
  if (!(seconds > 0 && seconds <= 900 && wallMs < signedAtMs + seconds * 1_000)) return 'it has ended';

  const signed = pairs.filter((pair) => !pair.startsWith('X-Amz-Signature=')).sort();
  const canonical = ['GET', '/', signed.join('&'), `host:${host}`, '', 'host', sha256('')].join('\n');
  const scope = [day, region, service, 'aws4_request'];
  const toSign = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce<Uint8Array | string>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${known.secretAccessKey}`,
  );
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return parameter('X-Amz-Signature') === signature ? undefined : 'its signature is wrong';
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
