import type { VaultCredential } from '@token-broker/configuration';
import { ok, Redacted, type Result } from '@token-broker/foundation';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { AWS_CREDENTIALS, writeAwsCredentials } from '../aws-credentials.js';
import type { HttpAnswer } from '../http/http-client.js';
import { isObject, parseObject, type JsonObject } from '../http/json-object.js';
import { refusedReply } from './vault-failure.js';

/** What Vault has issued. */
export interface VaultSecret {
  readonly accessToken: Redacted;
  readonly tokenType: string;
  readonly username?: string;
  readonly lifeMs: number;
  /** Absent: it is a token, which is its own lease, or Vault cannot take it back. */
  readonly leaseId?: string;
  /** It ends with the token that it was asked for with. */
  readonly hangsOnLogin: boolean;
}

/**
 * Reads what is issued: a secret of some engine, or a token. Its life is that of its lease. Some secrets have none, since nothing
 * could take them back (those of AWS STS) or they are rotated for everybody at once (static roles): they state their `ttl`.
 * What has neither is no secret that comes and goes (`kv`), whatever `lease_duration` says of it.
 */
export function readSecret(credential: VaultCredential, answer: HttpAnswer): Result<VaultSecret, ProviderFailure> {
  const refuse = (problem: string): Result<never, ProviderFailure> => refusedReply(answer, problem);
  const body = parseObject(answer.reply.text) ?? {};
  if (credential.kind === 'vault-token') {
    const { auth } = body;
    if (!isObject(auth)) return refuse('it holds no token of Vault');
    const { client_token: token, lease_duration: seconds, orphan } = auth;
    if (!isText(token)) return refuse('it holds no token of Vault');
    const lifeMs = lifeOf(seconds);
    if (lifeMs === undefined) return refuse('the token has no end');
    return ok({ accessToken: new Redacted(token), tokenType: 'Bearer', lifeMs, hangsOnLogin: orphan !== true });
  }
  const { data, lease_id: leaseId, lease_duration: seconds } = body;
  if (!isObject(data)) return refuse('it holds no data');
  const isLeased = isText(leaseId);
  const lifeMs = isLeased ? lifeOf(seconds) : statedLife(credential, data, seconds);
  if (lifeMs === undefined)
    return refuse(isLeased ? 'its lease has no end' : 'it has neither a lease nor a ttl: it is not a dynamic secret');
  const content = credential.kind === 'aws-credentials' ? awsCredentialsIn(data) : fieldsIn(data, credential);
  if (typeof content === 'string') return refuse(content);
  return ok({ ...content, lifeMs, hangsOnLogin: isLeased, ...(isLeased ? { leaseId } : {}) });
}

/** Of a secret without a lease. Of AWS, some versions of Vault state the life at the one place, some at the other. */
function statedLife({ kind }: VaultCredential, { ttl }: JsonObject, leaseSeconds: unknown): number | undefined {
  return lifeOf(ttl) ?? (kind === 'aws-credentials' ? lifeOf(leaseSeconds) : undefined);
}

type Content = Pick<VaultSecret, 'accessToken' | 'tokenType' | 'username'>;

/** The fields that the source names; text: what is wrong with them. */
function fieldsIn(
  data: JsonObject,
  { kind, secretField, usernameField }: Extract<VaultCredential, { readonly secretField: string }>,
): Content | string {
  const secret = data[secretField];
  if (!isText(secret)) return 'it holds no field of the name that secretField says';
  const username = usernameField ?? (kind === 'password' ? 'username' : undefined);
  const name = username === undefined ? undefined : data[username];
  if (usernameField !== undefined && !isText(name)) return 'it holds no field of the name that usernameField says';
  return {
    accessToken: new Redacted(secret),
    tokenType: kind === 'bearer' ? 'Bearer' : 'password',
    ...(isText(name) ? { username: name } : {}),
  };
}

/** As the secrets engine of AWS names them; `security_token` is what `session_token` was called before. */
function awsCredentialsIn(data: JsonObject): Content | string {
  const { access_key: accessKeyId, secret_key: secretAccessKey } = data;
  const sessionToken = data['session_token'] ?? data['security_token'] ?? '';
  if (!isText(accessKeyId) || !isText(secretAccessKey) || typeof sessionToken !== 'string')
    return 'it holds no credentials of AWS';
  const session = sessionToken === '' ? {} : { sessionToken };
  return {
    accessToken: writeAwsCredentials({ accessKeyId, secretAccessKey, ...session }),
    tokenType: AWS_CREDENTIALS,
  };
}

function lifeOf(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
