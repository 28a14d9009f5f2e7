import { readFile } from 'node:fs/promises';
import type { VaultAuth } from '@token-broker/configuration';
import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { ProviderFailure } from '../../../app/ports/provider.js';
import { parseObject, isObject } from '../http/json-object.js';
import { failureOfVault, refusedReply } from './vault-failure.js';
import type { VaultRequests } from './vault-requests.js';

/** Longer ones are no token of a service account. */
const MAX_TOKEN_CHARACTERS = 20_000;

/** The token of a login. What is asked for with it hangs on it: it ends when the token does. */
export interface LoginToken {
  readonly token: Redacted;
  /** `undefined`: for as long as nobody revokes it. */
  readonly lifeMs: number | undefined;
  /** One that is stored nowhere, so that nobody can revoke it. */
  readonly isBatch: boolean;
}

/** Logs in, by one request. */
export async function logIn(
  auth: VaultAuth,
  requests: VaultRequests,
  signal: AbortSignal,
): Promise<Result<LoginToken, ProviderFailure>> {
  const proof = await proofOf(auth);
  if (!proof.ok) return proof;
  const { body, given } = proof.value;
  const path = `auth/${auth.mount}/login`;
  const answer = await requests.send({ asked: 'the login', method: 'POST', path, body, given, signal });
  if (!answer.ok) return answer;
  const { reply, context } = answer.value;
  if (reply.status !== 200) return err(failureOfVault(reply, context, 'login'));
  const login = parseObject(reply.text)?.['auth'];
  if (!isObject(login)) return refusedReply(answer.value, 'the login brought no token');
  const { client_token: token, lease_duration: seconds, token_type: type } = login;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    return refusedReply(answer.value, 'the login brought no token');
  if (typeof seconds !== 'number' || !(seconds >= 0)) return refusedReply(answer.value, 'the login states no end');
  const lifeMs = seconds === 0 ? undefined : seconds * 1_000;
  return ok({ token: new Redacted(token), lifeMs, isBatch: type === 'batch' });
}

interface Proof {
  readonly body: Readonly<Record<string, string>>;
  readonly given: readonly Redacted[];
}

async function proofOf(auth: VaultAuth): Promise<Result<Proof, ProviderFailure>> {
  if (auth.kind === 'approle') {
    const { roleId, secretId } = auth;
    const secret = secretId === undefined ? {} : { secret_id: secretId.reveal() };
    return ok({ body: { role_id: roleId, ...secret }, given: [] });
  }
  const refuse = (problem: string, detail: string): Result<never, ProviderFailure> =>
    err({ code: 'IDP_UNAVAILABLE', message: `the file with the token of the service account ${problem}`, detail });
  let jwt: string;
  try {
    jwt = (await readFile(auth.tokenFile, 'utf8')).trim();
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    return refuse('cannot be read', `${auth.tokenFile}: ${code}`);
  }
  if (!/^[\x21-\x7e]+$/.test(jwt) || jwt.length > MAX_TOKEN_CHARACTERS) return refuse('holds no token', auth.tokenFile);
  return ok({ body: { role: auth.role, jwt }, given: [new Redacted(jwt)] });
}
