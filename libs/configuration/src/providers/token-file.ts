import { isAbsolute } from 'node:path';
import { ok } from '@token-broker/foundation';
import { refuse, setting, wrongKind, type Setting } from '../settings.js';

/** The absolute path of a file that holds a token of a workload. It is read for each call, since it is replaced before it ends. */
export function tokenFile(description: string): Setting<string> {
  return setting({ type: 'string', minLength: 1, description }, (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('an absolute path', input));
    return isAbsolute(input)
      ? ok(input)
      : refuse('is no absolute path', 'the file itself, not ${file:…}: it is read for each call');
  });
}
