import { err, ok, Redacted, type Clock, type Result } from '@token-broker/foundation';
import type { GitHubAppSourceConfiguration } from '@token-broker/configuration';
import type { IssuedToken, ProviderFailure, ProviderImplementation } from '../../../app/ports/provider.js';
import { openHttpClient, type HttpAnswer } from '../http/http-client.js';
import { saidIn } from '../http/http-failure.js';
import { parseObject } from '../http/json-object.js';
import { parseObservedLimit } from '../http/observed-limit.js';
import { parseHttpDate } from '../retry-after.js';
import { createAppAssertions } from './app-assertion.js';
import { failureOfGitHub } from './github-failure.js';

/** GitHub refuses requests without a `User-Agent`, and wants to know the version that they are of. */
const HEADERS = {
  accept: 'application/vnd.github+json',
  'x-github-api-version': '2022-11-28',
  'user-agent': 'token-broker',
};

/** As `expires_at` is written. */
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Tokens of an installation of a GitHub App, each by one request that an assertion of the app authorizes. */
export function createGitHubAppProvider(
  source: GitHubAppSourceConfiguration,
  { clock }: { readonly clock: Clock },
): ProviderImplementation {
  const { apiUrl, installationId, privateKey, ca, proxy, timeoutMs } = source;
  const client = openHttpClient({ clock, timeoutMs, ca, proxy, secrets: [privateKey] });
  const assert = createAppAssertions(source, clock);
  const body = JSON.stringify(wishOf(source));
  return {
    fetch: async (_request, { signal }) => {
      const assertion = await assert();
      const answer = await client.request({
        asked: 'the request for a token',
        url: `${apiUrl}/app/installations/${String(installationId)}/access_tokens`,
        headers: authorizedBy(assertion, { 'content-type': 'application/json' }),
        body,
        signal,
        given: [assertion],
      });
      return answer.ok ? readToken(answer.value) : answer;
    },

    async revoke(accessToken, { signal }) {
      const answer = await client.request({
        asked: 'the revocation',
        url: `${apiUrl}/installation/token`,
        method: 'DELETE',
        headers: authorizedBy(accessToken),
        signal,
        given: [accessToken],
      });
      if (!answer.ok) return answer;
      const { reply, context } = answer.value;
      // It authorizes itself: where GitHub does not know it, it has ended already.
      if (reply.status === 204 || reply.status === 401) return ok('revoked');
      return err(failureOfGitHub(reply, context));
    },

    close: () => client.close(),
  };
}

/** What the token is to be good for, as the request says it. */
function wishOf({ repositories, permissions }: GitHubAppSourceConfiguration): Readonly<Record<string, unknown>> {
  return {
    ...(repositories?.by === 'name' ? { repositories: repositories.names } : {}),
    ...(repositories?.by === 'id' ? { repository_ids: repositories.ids } : {}),
    ...(permissions.size === 0 ? {} : { permissions: Object.fromEntries(permissions) }),
  };
}

function authorizedBy(secret: Redacted, more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return { ...HEADERS, ...more, authorization: `Bearer ${secret.reveal()}` };
}

function readToken({ reply, context }: HttpAnswer): Result<IssuedToken, ProviderFailure> {
  if (reply.status < 200 || reply.status >= 300) return err(failureOfGitHub(reply, context));
  const refuse = (problem: string): Result<never, ProviderFailure> =>
    err({
      code: 'IDP_PROTOCOL',
      message: `the reply of GitHub is refused: ${problem}`,
      detail: saidIn(reply, problem, context),
    });
  const { token, expires_at: end } = parseObject(reply.text) ?? {};
  if (typeof token !== 'string' || token === '') return refuse('it holds no token');
  if (typeof end !== 'string' || !MOMENT.test(end)) return refuse('it states no end');
  // By the clock of who has stated the end.
  const lifeMs = Date.parse(end) - (parseHttpDate(reply.headers.get('date')) ?? context.wallMs);
  if (!(lifeMs > 0)) return refuse('what it holds has ended already');
  const observed = parseObservedLimit(reply.headers, context.wallMs);
  return ok({
    accessToken: new Redacted(token),
    tokenType: 'Bearer',
    lifeMs,
    ...(observed === undefined ? {} : { observed }),
  });
}
