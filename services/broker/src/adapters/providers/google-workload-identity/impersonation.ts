import { err, ok, Redacted, type Result } from '@token-broker/foundation';
import type { GoogleWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, ProviderFailure } from '../../../app/ports/provider.js';
import { refuseReply } from '../http/bearer-reply.js';
import type { HttpAnswer, HttpClient } from '../http/http-client.js';
import { parseObject } from '../http/json-object.js';
import { parseHttpDate } from '../retry-after.js';
import { failureOfGoogle } from './google-failure.js';

/** RFC 3339, in UTC, as Google writes moments. */
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/;

export interface ImpersonationRequest {
  readonly scopes: readonly string[];
  /** The pool's own token, which the exchange has brought. */
  readonly federated: Redacted;
  readonly signal: AbortSignal;
}

/** Asks for a token of a service account (`generateAccessToken` of the Service Account Credentials API). */
export async function impersonate(
  http: HttpClient,
  iamCredentialsEndpoint: string,
  impersonation: NonNullable<GoogleWorkloadIdentitySourceConfiguration['impersonation']>,
  { scopes, federated, signal }: ImpersonationRequest,
): Promise<Result<IssuedToken, ProviderFailure>> {
  const { serviceAccount, delegates, lifetimeMs } = impersonation;
  const answer = await http.request({
    asked: 'the impersonation',
    url: `${iamCredentialsEndpoint}/v1/${resourceOf(encodeURIComponent(serviceAccount))}:generateAccessToken`,
    headers: {
      authorization: `Bearer ${federated.reveal()}`,
      'content-type': 'application/json',
      accept: 'application/json',
    },
    body: JSON.stringify({
      ...(delegates.length === 0 ? {} : { delegates: delegates.map(resourceOf) }),
      scope: scopes,
      lifetime: `${String(Math.floor(lifetimeMs / 1_000))}s`,
    }),
    signal,
    given: [federated],
  });
  if (!answer.ok) return answer;
  return answer.value.reply.status === 200 ? read(answer.value, lifetimeMs) : err(failureOfGoogle(answer.value));
}

function resourceOf(serviceAccount: string): string {
  return `projects/-/serviceAccounts/${serviceAccount}`;
}

function read(answer: HttpAnswer, longestMs: number): Result<IssuedToken, ProviderFailure> {
  const { reply, context } = answer;
  const { accessToken, expireTime } = parseObject(reply.text) ?? {};
  if (typeof accessToken !== 'string' || accessToken === '') return refuseReply(answer, 'it has no accessToken');
  if (typeof expireTime !== 'string' || !MOMENT.test(expireTime)) return refuseReply(answer, 'it has no expireTime');
  // By the clock of who has stated the end.
  const nowMs = parseHttpDate(reply.headers.get('date')) ?? context.wallMs;
  const lifeMs = Math.min(longestMs, Date.parse(expireTime) - nowMs);
  // Also where the moment is none, such as a 13th month.
  if (!(lifeMs > 0)) return refuseReply(answer, 'what it holds has ended already');
  return ok({ accessToken: new Redacted(accessToken), tokenType: 'Bearer', lifeMs });
}
