import { ok } from '@token-broker/foundation';
import type { StaticSourceConfiguration } from '@token-broker/configuration';
import type { ProviderImplementation } from '../../../app/ports/provider.js';

/**
 * Hands out the value that stands in the configuration. Another value is another configuration: it is in the recipe, so
 * that a change of its file ends the former one everywhere, as any change of a source does.
 */
export function createStaticProvider({
  value,
  tokenType,
  username,
  lifetimeMs,
}: StaticSourceConfiguration): ProviderImplementation {
  return {
    fetch: () =>
      Promise.resolve(
        ok({ accessToken: value, tokenType, ...(username === undefined ? {} : { username }), lifeMs: lifetimeMs }),
      ),
  };
}
