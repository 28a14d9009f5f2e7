import type { ModuleSourceConfiguration } from '../../configuration.js';
import { inOneOrder } from '../one-order.js';
import type { SourceTraits } from '../source-traits.js';

export function moduleTraits(source: ModuleSourceConfiguration): SourceTraits {
  const { provider, module, options, secrets, takesParameters } = source;
  const revealed = [...secrets].map(([name, secret]) => [name, secret.reveal()]).sort(byName);
  const settings = inOneOrder(options);
  return {
    recipe: [provider, module, settings, revealed],
    // Whom it calls, the module alone knows: as far as anybody else can tell, that follows from its options.
    upstream: [provider, module, settings],
    credential: [provider, revealed],
    besides: [source.timeoutMs, source.maxLifetimeMs, takesParameters],
    secrets: [...secrets.values()],
    summary: { grant: 'module', endpoint: module, clientId: '' },
  };
}

function byName([a = '']: readonly unknown[], [b = '']: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}
