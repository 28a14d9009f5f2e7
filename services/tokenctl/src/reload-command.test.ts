import type { ReloadReply } from '@token-broker/protocol';
import { describe, expect, it } from 'vitest';
import { errorOf, run } from './fakes/run.js';

describe('reload', () => {
  it('says what came of it', async () => {
    expect((await run(['reload'])).stdout).toMatch(/^Reloaded\./);
    const unchanged = await run(['reload'], { reload: { v: 1, outcome: 'unchanged', problems: [] } });
    expect(unchanged.stdout).toMatch(/^Unchanged/);
  });

  it('ends with 2 and the problems where the broker refused the file', async () => {
    const reload: ReloadReply = { v: 1, outcome: 'refused', problems: ['broker.yaml:3:1 sources: is missing'] };
    const outcome = await run(['reload'], { reload });
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toContain('broker.yaml:3:1 sources: is missing\nerror: the broker refused');
    const json = await run(['reload', '--json'], { reload });
    expect(errorOf(json)).toMatchObject({ code: 'CONFIGURATION', problems: reload.problems });
  });
});
