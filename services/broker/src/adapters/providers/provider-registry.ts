import { err, type Clock, type Result } from '@token-broker/foundation';
import type { SourceConfiguration } from '@token-broker/configuration';
import type { Provider, ProviderFailure } from '../../app/ports/provider.js';
import type { Log } from '../../app/ports/telemetry.js';

export interface ProviderPorts {
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes the provider that a source names. The only place that knows all kinds; it loads only those that are used. */
export function createProvider(source: SourceConfiguration, ports: ProviderPorts): Provider {
  switch (source.provider) {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- the first of several kinds
    case 'oauth2':
      return createLoadedProvider(async () => {
        const { createOAuth2Provider } = await import('./oauth2/oauth2-provider.js');
        return createOAuth2Provider(source, ports);
      });
  }
}

/** A provider whose code starts to load now. A failure to load is the answer of each call: the installation is broken. */
export function createLoadedProvider(load: () => Promise<Provider>): Provider {
  const loaded = load();
  // Told by the calls; without any, nobody misses it.
  loaded.catch(() => undefined);
  const using = async <T>(
    use: (provider: Provider) => Promise<Result<T, ProviderFailure>>,
  ): Promise<Result<T, ProviderFailure>> => {
    let provider: Provider;
    try {
      provider = await loaded;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return err({ code: 'IDP_UNAVAILABLE', message: "the provider's code could not be loaded", detail });
    }
    return use(provider);
  };
  return {
    fetch: (request) => using((provider) => provider.fetch(request)),
    revoke: (accessToken) => using((provider) => provider.revoke(accessToken)),
    readSubject: (token) => using((provider) => provider.readSubject(token)),
    async close() {
      const [outcome] = await Promise.allSettled([loaded]);
      if (outcome.status === 'fulfilled') await outcome.value.close();
    },
  };
}
