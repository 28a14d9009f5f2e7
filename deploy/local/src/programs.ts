import { fileURLToPath } from 'node:url';

/** The built program of a package of this repository, which is started as a process: never run from source. */
export function programOf(packageName: '@token-broker/broker' | '@token-broker/tokenctl'): string {
  return fileURLToPath(new URL('../dist/main.js', import.meta.resolve(packageName)));
}
