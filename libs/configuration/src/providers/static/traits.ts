import type { StaticSourceConfiguration } from '../../configuration.js';
import type { SourceTraits } from '../source-traits.js';

export function staticTraits(source: StaticSourceConfiguration): SourceTraits {
  const { name, provider, value, tokenType, username, lifetimeMs } = source;
  return {
    recipe: [provider, value.reveal(), tokenType, username ?? null],
    // Nobody is called: each is an upstream of its own.
    upstream: [provider, name],
    credential: [provider],
    besides: [lifetimeMs],
    secrets: [value],
    summary: { grant: 'none', endpoint: '', clientId: username ?? '' },
  };
}
