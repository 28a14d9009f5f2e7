import { ERRORS, type ErrorCode } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { EXIT_OF } from './exit-codes.js';
import { REVOKED, run, throwing } from './fakes/run.js';

describe('errors of brokers', () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])('%s: what happened, what to do, and its exit code', async (code) => {
    const people = await run(['get', 'payments'], { get: throwing(code) });
    expect(people).toMatchObject({ code: EXIT_OF[code], stdout: '' });
    expect(people.stderr).toBe(`error: it failed [${code}]\n${ERRORS[code].remedy}\n`);
    const machines = await run(['get', 'payments', '--json'], { get: throwing(code) });
    expect(JSON.parse(machines.stdout)).toEqual({ error: { code, message: 'it failed', remedy: ERRORS[code].remedy } });
    expect(machines.stderr).toBe('');
  });

  it('tell usage, absence and denial apart', () => {
    expect([EXIT_OF.BAD_REQUEST, EXIT_OF.UNKNOWN_SOURCE]).toEqual([2, 2]);
    expect([EXIT_OF.STORE_UNAVAILABLE, EXIT_OF.IDP_UNAVAILABLE, EXIT_OF.DEADLINE, EXIT_OF.BROKER_UNAVAILABLE]).toEqual([
      3, 3, 3, 3,
    ]);
    expect([EXIT_OF.FORBIDDEN, EXIT_OF.IDP_DENIED]).toEqual([4, 4]);
  });

  it('cannot steer the terminal', async () => {
    const { stderr } = await run(['get', 'payments'], { get: throwing('FORBIDDEN', 'no\u001b[2Jway') });
    expect(stderr).toContain('no [2Jway');
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
