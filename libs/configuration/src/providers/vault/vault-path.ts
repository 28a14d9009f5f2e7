import { ok } from '@token-broker/foundation';
import { refuse, setting, wrongKind, type Setting } from '../../settings.js';

/** Segments of what needs no encoding, in any URL. */
const PATH = /^[\w.~!$&'()*+,;=:@-]+(\/[\w.~!$&'()*+,;=:@-]+)*$/;

/** A path of Vault's API, or of a mount, without slashes around it. */
export function vaultPath(description: string, example: string): Setting<string> {
  return setting({ type: 'string', minLength: 1, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('a path', input));
    if (/^\/?v1\//.test(input)) return refuse('begins with v1/', `write it without: "${example}"`);
    if (!PATH.test(input)) return refuse('is no path of Vault', `such as "${example}", without slashes around it`);
    const isUpward = input.split('/').some((segment) => segment === '.' || segment === '..');
    return isUpward ? refuse('leads out of its place') : ok(input);
  });
}
