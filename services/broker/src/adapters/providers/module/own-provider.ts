import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ModuleSourceConfiguration } from '@token-broker/configuration';
import { issued, refused, type CreateProvider } from '@token-broker/provider';
import type { ProviderImplementation } from '../../../app/ports/provider.js';
import type { ProviderPorts } from '../provider-ports.js';

/** Others may write it: whoever does is the broker. */
const WRITABLE_BY_OTHERS = 0o002;

/**
 * The provider that a module of somebody else makes. The module runs in the broker, with all of the broker's rights: what it
 * does is bounded by the guard, what it is trusted with is not. Rejects where it cannot be loaded.
 */
export async function loadOwnProvider(
  source: ModuleSourceConfiguration,
  { clock, log, lend }: ProviderPorts,
): Promise<ProviderImplementation> {
  const { name, options, secrets, timeoutMs } = source;
  const create = await createProviderOf(source.module);
  const made: unknown = await create({
    ...{ name, secrets, timeoutMs, clock, lend, issued, refused },
    // Its own copy: one source's options are not another's.
    options: structuredClone(options),
    warn: (message) => {
      log.warn('provider: a module says', { source: name, what: message });
    },
  });
  if (!isImplementation(made)) throw new TypeError('createProvider of the module made nothing that has fetch()');
  return made;
}

async function createProviderOf(module: string): Promise<CreateProvider> {
  const isFile = isAbsolute(module);
  if (isFile && ((await stat(module)).mode & WRITABLE_BY_OTHERS) !== 0 && process.platform !== 'win32')
    throw new Error(`everybody can write the module ${module}`);
  const loaded = (await import(isFile ? pathToFileURL(module).href : module)) as Readonly<Record<string, unknown>>;
  const create = loaded['createProvider'];
  if (typeof create !== 'function') throw new TypeError('the module exports no function createProvider');
  return create as CreateProvider;
}

function isImplementation(value: unknown): value is ProviderImplementation {
  return typeof value === 'object' && value !== null && 'fetch' in value && typeof value.fetch === 'function';
}
