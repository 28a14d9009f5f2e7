import { describe, expect, it } from 'vitest';
import { errorOf, run, SLOT } from './fakes/run.js';

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

describe('a command line that is wrong', () => {
  it.each([
    [['slotz'], /Did you mean slots\?/],
    [['slots', '--sorce', 'x'], /Did you mean --source\?/],
    [['get'], /missing required argument 'source'/],
    [['check'], /missing required argument 'file'/],
    [['get', 'payments', 'more'], /too many arguments/],
    [['status', '--timeout', '5'], /the unit is missing/],
    [['status', '--timeout', '0s'], /above 0/],
    [['status', '--timeout', '121s'], /at most 2m/],
    [['status', '--timeout', '-1s'], /never negative/],
    [['status', '--timeout'], /argument missing/],
    [['slots', '--limit', '0'], /whole number from 1 to 1000/],
    [['slots', '--limit', '1e2'], /whole number from 1 to 1000/],
    [['slots', '--source', ''], /the source is empty/],
    [['get', '*'], /"\*" is no source/],
    [
      ['get', 'payments', '--output', 'xml'],
      /Allowed choices are raw, header, json, env, exec-credential, aws-credential-process/,
    ],
    [['revoke', '--yes'], /not said what to revoke/],
    [['revoke', '--yes', '--source', ''], /the source is empty/],
    [['revoke', '--yes', '--source', '*'], /"\*" is no source/],
    [['revoke', '--yes', '--slot', '*'], /that is no slot/],
    [['revoke', '--yes', '--source', 'a', '--source', 'b'], /given twice/],
    [['revoke', '--yes', '--source', 'a', '--all'], /exclude each other/],
    [['revoke', '--yes', '--slot', SLOT, '--all'], /exclude each other/],
    [['revoke', '--all', '--dry-run', '--wait'], /exclude each other/],
    [['revoke', '--all', '--yes', '--reason', 'x'.repeat(501)], /too long/],
    [['status', '--user', 'a', '--creds', 'b'], /exclude each other/],
    [['status', '--server', 'http://127.0.0.1'], /not a NATS address/],
    [['status', '--server', ''], /not a NATS address/],
    [['status', '--caller', 'a.b'], /not a name/],
    [['status', '--prefix', '>'], /not a name/],
    [['status', '--tls-ca', 'none.pem'], /none\.pem cannot be read \(ENOENT\)/],
  ])('ends with 2 and says why, before anything is connected: %j', async (args, why) => {
    const people = await run(args);
    expect(people).toMatchObject({ code: 2, stdout: '', settings: undefined });
    expect(people.stderr).toMatch(why);
    const machines = await run([...args, '--json']);
    // `--timeout --json` takes the flag for its value.
    if (args.at(-1) === '--timeout') return;
    expect(machines.code).toBe(2);
    expect(errorOf(machines)).toMatchObject({ code: 'USAGE' });
    expect(machines.stderr).toBe('');
  });

  it.each([
    ['get', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['revoke', '--slot', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'],
    ['status', '--password', 'hunter2-c2ln'],
    ['status', '--password=hunter2-c2ln'],
    ['revoke', '--token', 'opaque-c2ln'],
    ['status', '--server', 'nats://ops:hunter2-c2ln@127.0.0.1'],
    ['revoke', '--yes', '--slot', 'an-opaque-token-of-another-length-c2ln!'],
    ['get', `${'x'.repeat(80)}-c2ln`],
  ])('with a secret as an argument is refused, and the secret is not repeated: %s %s', async (...args) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ code: 2, settings: undefined, stdout: '' });
    expect(outcome.stderr).not.toContain('c2ln');
  });
});
