import { err, type Clock } from '@token-broker/foundation';
import type { AzureWorkloadIdentitySourceConfiguration } from '@token-broker/configuration';
import type { ProviderImplementation } from '../../../app/ports/provider.js';
import { readBearer } from '../http/bearer-reply.js';
import { openHttpClient } from '../http/http-client.js';
import { readTokenFile } from '../token-file.js';
import { failureOfEntra } from './entra-failure.js';

/** RFC 7523 §2.2. */
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const MAX_ASSERTION_CHARACTERS = 64 * 1024;

/**
 * Tokens of Microsoft Entra ID by client credentials (RFC 6749 §4.4), where the application proves itself by a token of
 * another identity provider that it trusts: a federated credential. That token is the assertion as it stands; nothing is
 * signed here.
 */
export function createAzureWorkloadIdentityProvider(
  source: AzureWorkloadIdentitySourceConfiguration,
  { clock }: { readonly clock: Clock },
): ProviderImplementation {
  const { authority, tenantId, clientId, tokenFile, ca, proxy, timeoutMs } = source;
  const url = `${authority}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`;
  const http = openHttpClient({ ca, proxy, timeoutMs, clock, secrets: [] });
  return {
    async fetch({ scopes }, { signal }) {
      const assertion = await readTokenFile({
        file: tokenFile,
        what: 'the federated token',
        maxCharacters: MAX_ASSERTION_CHARACTERS,
      });
      if (!assertion.ok) return assertion;
      const form = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: clientId,
        scope: scopes.join(' '),
        client_assertion_type: JWT_BEARER,
        client_assertion: assertion.value.reveal(),
      });
      const answer = await http.request({
        asked: 'the token request',
        url,
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: form.toString(),
        signal,
        given: [assertion.value],
      });
      if (!answer.ok) return answer;
      return answer.value.reply.status === 200 ? readBearer(answer.value) : err(failureOfEntra(answer.value));
    },
    close: () => http.close(),
  };
}
