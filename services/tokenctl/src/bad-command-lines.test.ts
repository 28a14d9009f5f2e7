import { VirtualClock } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { errorOf, REVOKED, runOn, SLOT, throwing, type Given, type Outcome } from './fakes/run.js';

const run = (args: readonly string[], given?: Given): Promise<Outcome> => runOn(new VirtualClock(), args, given);
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln';

/** Every kind of a bad command line, on every command that can have it. */
describe.each<[string, (readonly [readonly string[], RegExp])[]]>([
  [
    'an unknown command or option, with a suggestion',
    [
      [['statsu'], /unknown command 'statsu'.*Did you mean status\?/],
      [['describ', 'x'], /Did you mean describe\?/],
      [['list'], /unknown command 'list'/],
      [['context', 'ad', 'x'], /Did you mean add\?/],
      [['watch', '--sorce', 'a'], /Did you mean --source\?/],
      [['top', '--intervall', '1s'], /Did you mean --interval\?/],
      [['refresh', 'a', '--fail-if-nothin'], /Did you mean --fail-if-nothing\?/],
      [['doctor', '--confg', 'x'], /Did you mean --config\?/],
      [['quota', '--al'], /unknown option '--al'/],
    ],
  ],
  [
    'a missing or superfluous argument',
    [
      [['describe'], /missing required argument 'source-or-slot'/],
      [['refresh'], /missing required argument 'source-or-slot'/],
      [['completion'], /missing required argument 'shell'/],
      [['refresh-token', 'set'], /missing required argument 'source'/],
      [['context', 'add'], /missing required argument 'name'/],
      [['describe', 'a', 'b'], /too many arguments/],
      [['quota', 'a', 'b'], /too many arguments/],
      [['sources', 'a'], /too many arguments/],
      [['watch', '--source'], /argument missing/],
      [['doctor', '--config'], /argument missing/],
    ],
  ],
  [
    'an empty selector, or one for everything without --all --yes',
    [
      [['describe', ''], /the source is empty/],
      [['describe', '*'], /neither a source nor a slot/],
      [['refresh', ''], /the source is empty/],
      [['refresh', '*'], /neither a source nor a slot/],
      [['quota', '*'], /"\*" is no source/],
      [['watch', '--source', ''], /the source is empty/],
      [['slots', '--source', '*'], /"\*" is no source/],
      [['revoke', '--source', '', '--yes'], /the source is empty/],
      [['revoke', '--source', '*', '--yes'], /"\*" is no source/],
      [['revoke', '--yes'], /not said what to revoke/],
      [['revoke', '--all'], /must be confirmed/],
      [['revoke', '--all', '--yes'], /needs a reason/],
      [['revoke', '--all', '--yes', '--reason', ' '], /--reason is empty/],
      [['pause', 'a', '--reason', ''], /--reason is empty/],
      [['reload', '--reason', ''], /--reason is empty/],
    ],
  ],
  [
    'a bad duration or number',
    [
      [['describe', 'a', '--timeout', '5'], /the unit is missing/],
      [['refresh', 'a', '--timeout', '3m'], /at most 2m/],
      [['watch', '--for', '-1s'], /never negative/],
      [['watch', '--for', 'soon'], /not a duration/],
      [['top', '--interval', '100ms'], /from 500ms to 1m/],
      [['top', '--interval', '2'], /the unit is missing/],
      [['top', '--count', '0'], /whole number above 0/],
      [['top', '--count', '1.5'], /whole number above 0/],
      [['slots', '--limit', '1001'], /from 1 to 1000/],
    ],
  ],
  [
    'a token as an argument, which is not repeated',
    [
      [['describe', JWT], /a token is not taken as an argument/],
      [['refresh', `Bearer ${JWT}`], /a token is not taken as an argument/],
      [['quota', JWT], /a token is not taken as an argument/],
      [['watch', '--source', JWT], /a token is not taken as an argument/],
      [['describe', `opaque.${'x'.repeat(80)}-c2ln`], /neither a source nor a slot/],
      [['refresh-token', 'set', 'a', 'opaque-c2ln'], /not taken as an argument/],
      [['doctor', '--password', 'hunter2-c2ln'], /a password is not taken as an argument/],
    ],
  ],
  [
    'flags that exclude each other, or are given twice',
    [
      [['revoke', '--all', '--slot', SLOT, '--yes'], /exclude each other/],
      [['revoke', '--all', '--yes', '--dry-run', '--wait'], /exclude each other/],
      [['watch', '--source', 'a', '--source', 'b'], /given twice/],
      [['doctor', '--config', 'a', '--config', 'b'], /given twice/],
      [['top', '--user', 'a', '--nkey-file', 'b'], /exclude each other/],
      [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
    ],
  ],
])('%s', (_what, cases) => {
  it.each(cases)('%j', async (args, why) => {
    const people = await run(args);
    expect(people).toMatchObject({ code: 2, stdout: '', settings: undefined, requests: [] });
    expect(people.stderr).toMatch(why);
    expect(people.stderr).not.toContain('c2ln');
    if (args.at(-1)?.startsWith('--') === true && people.stderr.includes('argument missing')) return;
    const machines = await run([...args, '--json']);
    expect(machines).toMatchObject({ code: 2, stderr: '' });
    expect(errorOf(machines).code).toBe('USAGE');
  });
});

describe('what is away, denied or not there', () => {
  it.each([['status'], ['sources'], ['quota'], ['top']])('ends with 3 or 4: %s', async (command) => {
    expect((await run([command], { status: throwing('BROKER_UNAVAILABLE') })).code).toBe(3);
    expect((await run([command], { status: throwing('FORBIDDEN') })).code).toBe(4);
  });

  it.each([['describe'], ['refresh']])('ends with 2, 3 or 4: %s', async (command) => {
    const ends = async (code: Parameters<typeof throwing>[0]): Promise<number> =>
      (await run([command, 'payments'], { describe: throwing(code), refresh: throwing(code) })).code;
    expect(await ends('UNKNOWN_SOURCE')).toBe(2);
    expect(await ends('STORE_UNAVAILABLE')).toBe(3);
    expect(await ends('FORBIDDEN')).toBe(4);
  });

  it('ends with 5 where nothing matched and that was to be told', async () => {
    const revoke = () => Promise.resolve({ ...REVOKED, slots: 0 });
    expect(
      (await run(['revoke', '--source', 'a', '--yes', '--reason', 'a test', '--fail-if-nothing'], { revoke })).code,
    ).toBe(5);
  });
});
