import type { SourceConfiguration } from '@token-broker/configuration';
import { Redacted } from '@token-broker/foundation';
import { startGitHub } from '../fakes/github-endpoint.js';
import { APP, gitHubSource } from '../fakes/github-source.js';
import { itKeepsTheContract, type ContractBed } from '../fakes/contract/provider-contract.js';

async function start(): Promise<ContractBed> {
  const github = await startGitHub(APP);
  return {
    source: gitHubSource({ apiUrl: github.url }),
    takenBack: github.takenBack,
    calls: () => github.calls(),
    will: (behaviour) => {
      github.will(behaviour);
    },
  };
}

const having =
  (change: Parameters<typeof gitHubSource>[0]) =>
  (source: SourceConfiguration): SourceConfiguration => ({ ...(source as ReturnType<typeof gitHubSource>), ...change });

itKeepsTheContract('github-app', {
  start,
  tokenType: 'Bearer',
  changes: {
    API: having({ apiUrl: 'https://github.example.com/api/v3' }),
    app: having({ appId: 'other' }),
    key: having({ privateKey: new Redacted('other') }),
    installation: having({ installationId: 4712 }),
    repositories: having({ repositories: { by: 'name', names: ['web'] } }),
    'repositories by number': having({ repositories: { by: 'id', ids: [1] } }),
    permissions: having({ permissions: new Map([['contents', 'read']]) }),
    CA: having({ ca: 'other' }),
    proxy: having({ proxy: new Redacted('http://proxy:3128') }),
  },
  sameTokens: { timeout: having({ timeoutMs: 1, lockTimeMs: 2 }) },
});
