import { err, ok, type Clock, type Redacted, type Result } from '@token-broker/foundation';
import type { GoogleSubject, GoogleWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, Lender, ProviderFailure, ProviderImplementation } from '../../../app/ports/provider.js';
import { readBearer } from '../http/bearer-reply.js';
import { openHttpClient, type HttpClient } from '../http/http-client.js';
import { readTokenFile } from '../token-file.js';
import { failureOfGoogle } from './google-failure.js';
import { impersonate } from './impersonation.js';

/** RFC 8693 §2.1, §3. */
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** What the pool's own token is asked for, where it serves to impersonate alone. */
const IMPERSONATING = ['https://www.googleapis.com/auth/cloud-platform'];
const MAX_SUBJECT_CHARACTERS = 64 * 1024;

export interface GoogleWorkloadIdentityPorts {
  readonly clock: Clock;
  readonly lend: Lender;
}

/**
 * Tokens of Google Cloud in exchange for a token of another identity provider that a workload identity pool trusts; where a
 * service account is named, that one's token, which the pool's own is spent for at once.
 *
 * Then a fetch is two requests, one after the other, of two services of Google. Nothing is kept between fetches: where the
 * second fails, its failure is that of the fetch, the pool's token is forgotten (it ends by itself, within an hour), and
 * the next fetch begins with the first again.
 */
export function createGoogleWorkloadIdentityProvider(
  source: GoogleWorkloadIdentitySourceConfiguration,
  { clock, lend }: GoogleWorkloadIdentityPorts,
): ProviderImplementation {
  const { subject, impersonation, iamCredentialsEndpoint, ca, proxy, timeoutMs } = source;
  const http = openHttpClient({ ca, proxy, timeoutMs, clock, secrets: [] });
  return {
    async fetch({ scopes }, { signal }) {
      const token = await subjectTokenOf(subject, lend);
      if (!token.ok) return token;
      const asked = impersonation === undefined ? scopes : IMPERSONATING;
      const federated = await exchange(http, source, { subject: token.value, scopes: asked, signal });
      if (!federated.ok || impersonation === undefined) return federated;
      const { accessToken } = federated.value;
      return impersonate(http, iamCredentialsEndpoint, impersonation, { scopes, federated: accessToken, signal });
    },
    close: () => http.close(),
  };
}

async function subjectTokenOf(subject: GoogleSubject, lend: Lender): Promise<Result<Redacted, ProviderFailure>> {
  if (subject.kind === 'file')
    return readTokenFile({ ...subject, what: 'the subject token', maxCharacters: MAX_SUBJECT_CHARACTERS });
  const lent = await lend(subject.source);
  if (!lent.ok) return lent;
  const { tokenType, accessToken } = lent.value;
  if (tokenType === 'Bearer') return ok(accessToken);
  const message = `the credential of the source "${subject.source}" is no bearer token`;
  return err({ code: 'IDP_PROTOCOL', message, detail: `its type is ${tokenType}` });
}

async function exchange(
  http: HttpClient,
  source: GoogleWorkloadIdentitySourceConfiguration,
  request: { readonly subject: Redacted; readonly scopes: readonly string[]; readonly signal: AbortSignal },
): Promise<Result<IssuedToken, ProviderFailure>> {
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    audience: source.workloadIdentityProvider,
    scope: request.scopes.join(' '),
    requested_token_type: ACCESS_TOKEN,
    subject_token: request.subject.reveal(),
    subject_token_type: source.subjectTokenType,
  });
  const answer = await http.request({
    asked: 'the token exchange',
    url: source.stsEndpoint,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
    signal: request.signal,
    given: [request.subject],
  });
  if (!answer.ok) return answer;
  if (answer.value.reply.status !== 200) return err(failureOfGoogle(answer.value));
  return readBearer(answer.value, ({ issued_token_type: issued }) =>
    issued === ACCESS_TOKEN ? undefined : 'issued_token_type is not that of an access token',
  );
}
