import type { AzureWorkloadIdentitySourceConfiguration, SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { entraSource, startEntra } from '../fakes/entra-endpoint.js';
import { itKeepsTheContract } from '../fakes/contract/provider-contract.js';

const having =
  (change: Partial<AzureWorkloadIdentitySourceConfiguration>) =>
  (source: SourceConfiguration): SourceConfiguration => ({
    ...(source as AzureWorkloadIdentitySourceConfiguration),
    ...change,
  });

itKeepsTheContract('azure-workload-identity', {
  start: async () => {
    const entra = await startEntra();
    return {
      source: entraSource(entra),
      takenBack: [],
      calls: () => entra.calls(),
      will: (behaviour) => {
        entra.will(behaviour);
      },
    };
  },
  tokenType: 'Bearer',
  changes: {
    authority: having({ authority: 'https://login.microsoftonline.us' }),
    tenant: having({ tenantId: 'example.onmicrosoft.com' }),
    client: having({ clientId: '99999999-2222-4333-8444-555555555555' }),
    file: having({ tokenFile: '/other' }),
    scope: having({ scopes: ['https://storage.azure.com/.default'] }),
    CA: having({ ca: 'other' }),
    proxy: having({ proxy: new Redacted('http://proxy:3128') }),
  },
  sameTokens: { timeout: having({ timeoutMs: 1, lockTimeMs: 2 }) },
});
