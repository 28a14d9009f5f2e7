import { Redacted } from '@token-broker/foundation';
import type { ExecSourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken } from '../../../app/ports/provider.js';
import { AWS_CREDENTIALS, readAwsCredentials, writeAwsCredentials } from '../aws-credentials.js';

/** A moment as RFC 3339 writes it, which is all that both formats allow. */
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

export interface PrintedOptions {
  readonly source: Pick<ExecSourceConfiguration, 'output' | 'defaultLifetimeMs'>;
  readonly wallMs: number;
}

/** The credential that a program has printed, or what is wrong with it, in words that repeat nothing of it. */
export function readPrinted(text: string, { source, wallMs }: PrintedOptions): IssuedToken | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  if (!isObject(parsed)) return 'it is not a JSON object';
  const found = source.output === 'exec-credential' ? ofKubernetes(parsed) : ofAws(parsed, text);
  if (typeof found === 'string') return found;
  const lifeMs = lifeOf(found.endsAt, source.defaultLifetimeMs, wallMs);
  if (typeof lifeMs === 'string') return lifeMs;
  const { accessToken, tokenType } = found;
  return { accessToken, tokenType, lifeMs };
}

interface Printed {
  readonly accessToken: Redacted;
  readonly tokenType: string;
  readonly endsAt: unknown;
}

/** `client.authentication.k8s.io`, v1 or v1beta1. */
function ofKubernetes({ apiVersion, kind, status }: Fields): Printed | string {
  if (kind !== 'ExecCredential') return 'kind is not ExecCredential';
  if (apiVersion !== 'client.authentication.k8s.io/v1' && apiVersion !== 'client.authentication.k8s.io/v1beta1')
    return 'apiVersion is not client.authentication.k8s.io/v1';
  if (!isObject(status)) return 'it has no status';
  const { token, clientCertificateData, expirationTimestamp } = status;
  if (typeof token !== 'string' || token === '')
    return clientCertificateData === undefined ? 'it has no token' : 'it has a certificate and no token';
  return { accessToken: new Redacted(token), tokenType: 'Bearer', endsAt: expirationTimestamp };
}

function ofAws({ Version: version, Expiration: expiration }: Fields, text: string): Printed | string {
  if (version !== 1) return 'Version is not 1';
  const credentials = readAwsCredentials(text);
  if (credentials === undefined) return 'it has no AccessKeyId and SecretAccessKey';
  return { accessToken: writeAwsCredentials(credentials), tokenType: AWS_CREDENTIALS, endsAt: expiration };
}

function lifeOf(endsAt: unknown, defaultLifetimeMs: number, wallMs: number): number | string {
  if (endsAt === undefined || endsAt === null || endsAt === '') return defaultLifetimeMs;
  const endsAtMs = typeof endsAt === 'string' && MOMENT.test(endsAt) ? Date.parse(endsAt) : Number.NaN;
  if (!Number.isFinite(endsAtMs)) return 'its end is no moment as RFC 3339 writes it';
  const lifeMs = Math.floor(endsAtMs - wallMs);
  return lifeMs > 0 ? lifeMs : 'it has ended already';
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
