import type { Clock } from '@token-broker/foundation';
import type { SourceConfiguration } from '@token-broker/configuration';
import type { Provider } from '../../app/ports/provider.js';
import type { Log } from '../../app/ports/telemetry.js';
import { createOAuth2Provider } from './oauth2/oauth2-provider.js';

/** Makes the provider that a source names. The only place that knows all kinds. */
export function createProvider(
  source: SourceConfiguration,
  ports: { readonly clock: Clock; readonly log: Log },
): Provider {
  switch (source.provider) {
    case 'oauth2':
      return createOAuth2Provider(source, ports);
  }
}
