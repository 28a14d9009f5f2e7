import type { ExecSourceConfiguration } from '../../configuration.js';
import type { SourceTraits } from '../source-traits.js';

export function execTraits(source: ExecSourceConfiguration): SourceTraits {
  const { provider, command, args, env, output } = source;
  const variables = [...env].map(([name, value]) => [name, value.reveal()]).sort(byName);
  return {
    recipe: [provider, command, args, variables, output],
    // Whom the program calls, it alone knows: as far as anybody else can tell, that follows from how it is called.
    upstream: [provider, command, args],
    credential: [provider, variables],
    besides: [source.timeoutMs, source.defaultLifetimeMs, source.maxLifetimeMs],
    secrets: [...env.values()],
    summary: { grant: output, endpoint: command, clientId: '' },
  };
}

function byName([a = '']: readonly string[], [b = '']: readonly string[]): number {
  return a < b ? -1 : 1;
}
