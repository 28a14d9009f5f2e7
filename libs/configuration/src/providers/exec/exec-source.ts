import { isAbsolute } from 'node:path';
import { ok } from '@token-broker/foundation';
import { z } from 'zod';
import type { ExecSourceConfiguration } from '../../configuration.js';
import { choice, secret, text } from '../../scalars.js';
import { crossCheck, list, refuse, setting, settings, valuesOf, wrongKind } from '../../settings.js';
import { callingSettings, checkCalling, toCalling } from '../calling.js';
import { checkLifetimes, lifetimeSettings, toLifetimes } from '../lifetimes.js';

/** A name of the portable character set (POSIX.1-2017 §8.1). */
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What the broker sets itself, and what would load other code into the program. */
const RESERVED = /^(?:PATH|KUBERNETES_EXEC_INFO|LD_.*|DYLD_.*|NODE_OPTIONS)$/;
const MAX_ARGUMENTS = 64;

const command = setting(
  {
    type: 'string',
    minLength: 1,
    description: 'The program: an absolute path. No shell is between, and no PATH is searched.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('an absolute path', input));
    if (/\p{Cc}/u.test(input)) return refuse('holds a control character');
    return isAbsolute(input) ? ok(input) : refuse('is no absolute path', 'arguments go into args, one by one');
  },
);

export const execSchema = crossCheck(
  settings('What a program prints: an ExecCredential of Kubernetes, or what AWS’s credential_process prints.', {
    provider: z.literal('exec').meta({ description: 'The kind of upstream.' }),
    command,
    args: list(
      'Its arguments, one by one. Anybody on the machine can see them: secrets go into `env`.',
      text('An argument.'),
    ).optional(),
    env: z
      .record(z.string(), secret('The variable’s value.'), { error: (issue) => wrongKind('a mapping', issue.input) })
      .meta({ description: 'Its environment, all of it: nothing is passed on from the broker’s own.' })
      .optional(),
    output: choice('What it prints.', ['exec-credential', 'credential-process']),
    ...callingSettings,
    ...lifetimeSettings,
  }),
  (written, report) => {
    checkCalling(written, report);
    checkLifetimes(written, report);
    for (const name of Object.keys(valuesOf(written['env']))) {
      if (!VARIABLE.test(name)) report(['env', name], 'is no name of a variable', 'letters, digits and _');
      else if (RESERVED.test(name)) report(['env', name], 'is set by the broker, or by nobody');
    }
    const { args } = written;
    if (Array.isArray(args) && args.length > MAX_ARGUMENTS)
      report(['args'], `has ${String(args.length)} entries: at most ${String(MAX_ARGUMENTS)}`);
  },
);

export function toExecSource(name: string, written: z.output<typeof execSchema>): ExecSourceConfiguration {
  return Object.freeze({
    name,
    provider: written.provider,
    command: written.command,
    args: Object.freeze(written.args ?? []),
    env: new Map(Object.entries(written.env ?? {})),
    output: written.output,
    scopes: Object.freeze([]),
    ...toLifetimes(written),
    ...toCalling(written),
  });
}
