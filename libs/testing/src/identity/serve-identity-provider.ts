import { once } from 'node:events';
import { startIdentityProvider, type IdentityProviderOptions } from './identity-provider.js';

/**
 * Runs an OpenID provider as the work of this whole process, until SIGTERM or SIGINT. Prints one line of JSON to
 * standard output when it takes requests: `{"issuer": …, "tokenEndpoint": …}`. `GET /counts` and `POST /control` are
 * open to whoever reaches the port.
 */
export async function serveIdentityProvider(options: IdentityProviderOptions): Promise<void> {
  const provider = await startIdentityProvider({ ...options, allowControl: true });
  process.stdout.write(`${JSON.stringify({ issuer: provider.issuer, tokenEndpoint: provider.tokenEndpoint })}\n`);
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await provider.stop();
}
