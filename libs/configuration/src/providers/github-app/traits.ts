import type { GitHubAppSourceConfiguration } from '../../configuration.js';
import type { SourceTraits } from '../source-traits.js';

export function gitHubAppTraits(source: GitHubAppSourceConfiguration): SourceTraits {
  const { provider, apiUrl, appId, privateKey, installationId, repositories, permissions, ca, proxy } = source;
  return {
    recipe: [
      ...[provider, apiUrl, appId, privateKey.reveal(), installationId],
      repositories === undefined ? null : reachOf(repositories),
      [...permissions].sort(([a], [b]) => (a < b ? -1 : 1)),
      ca ?? null,
      proxy?.reveal() ?? null,
    ],
    // Its limits are those of the app, whose assertion asks for the tokens of all its installations.
    upstream: [provider, apiUrl, appId],
    credential: [provider, privateKey.reveal()],
    besides: [source.timeoutMs],
    secrets: [privateKey, ...(proxy === undefined ? [] : [proxy])],
    summary: { grant: 'installation', endpoint: apiUrl, clientId: appId },
  };
}

function reachOf(repositories: NonNullable<GitHubAppSourceConfiguration['repositories']>): unknown {
  return repositories.by === 'name' ? ['names', repositories.names] : ['ids', repositories.ids];
}
