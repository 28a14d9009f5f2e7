import { expect, it } from 'vitest';
import { describeFound } from './report.js';

it('tells a violation in one line, with the command that runs it again in the same world', () => {
  const violation = { guarantee: 'G3', what: 's: generation 1 was handed out after 2', atMs: 22_108.828 } as const;
  const line = describeFound(7, violation, undefined);
  expect(line).toBe(
    'VIOLATION of G3 with seed 7 at 22108.8 ms: s: generation 1 was handed out after 2 (again: npm run simulate -- --from 7 --seeds 1)',
  );
  expect(describeFound(7, violation, ['links', 'store'])).toMatch(/--from 7 --seeds 1 --faults links,store\)$/);
});
