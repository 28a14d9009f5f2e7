import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FaultProxy } from '@token-broker/testing';

/** All scripts of a partition in `services/broker/lua`, and the files that each is made of. */
export const SCRIPT_FILES = {
  read: ['prelude', 'slot', 'read'],
  reserve: ['prelude', 'slot', 'reserve'],
  commit: ['prelude', 'slot', 'commit'],
  fail: ['prelude', 'slot', 'fail'],
  abandon: ['prelude', 'slot', 'abandon'],
  reject: ['prelude', 'slot', 'reject'],
  revoke: ['prelude', 'revoke'],
  confirm: ['prelude', 'confirm'],
  lease: ['prelude', 'lease'],
  leave: ['prelude', 'leave'],
  policy: ['prelude', 'policy'],
  list: ['prelude', 'list'],
  scan: ['prelude', 'scan'],
  count: ['prelude', 'count'],
  pause: ['prelude', 'pause'],
} as const;

export type ScriptName = keyof typeof SCRIPT_FILES;

export function scriptText(files: readonly string[]): string {
  return files
    .map((file) => readFileSync(new URL(`../../../services/broker/lua/${file}.lua`, import.meta.url), 'utf8'))
    .join('\n');
}

/** The digest by which Redis knows a script. */
export function digestOf(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

/**
 * Calls `act` when a broker sends this script for the next time, before Redis has it, and resolves then. The first time
 * over each connection it is sent as its text, later as its digest.
 */
export function whenSent(proxy: FaultProxy, script: ScriptName, act: () => void): Promise<void> {
  const text = scriptText(SCRIPT_FILES[script]);
  return new Promise((resolve) => {
    let isSent = false;
    const sent = (): void => {
      if (isSent) return;
      isSent = true;
      act();
      resolve();
    };
    proxy.when('toServer', digestOf(text), sent);
    proxy.when('toServer', text, sent);
  });
}
