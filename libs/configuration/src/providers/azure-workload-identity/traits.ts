import type { AzureWorkloadIdentitySourceConfiguration } from '../../configuration.js';
import type { SourceTraits } from '../source-traits.js';

export function azureWorkloadIdentityTraits(source: AzureWorkloadIdentitySourceConfiguration): SourceTraits {
  const { provider, tenantId, clientId, tokenFile, authority, scopes, ca, proxy, timeoutMs } = source;
  const credential = ['file', tokenFile];
  return {
    recipe: [provider, authority, tenantId, clientId, credential, scopes, ca ?? null, proxy?.reveal() ?? null],
    // One application in one tenant, whatever it asks for.
    upstream: [provider, authority, tenantId, clientId],
    credential,
    besides: [timeoutMs],
    secrets: proxy === undefined ? [] : [proxy],
    summary: { grant: 'client_credentials', endpoint: `${authority}/${tenantId}`, clientId },
  };
}
