import { describe, expect, it } from 'vitest';
import { judge } from './judge.js';
import { figureText, replaceBetweenMarkers, tableOf } from './table.js';

const DOCUMENT = [
  'before',
  '<!-- begin: benchmarks (written by `npm run bench -- --write`) -->',
  'old',
  '<!-- end: benchmarks -->',
  'after',
].join('\n');

describe('the table', () => {
  it('has a row for each line, and says what each benchmark is', () => {
    const line = judge('quick-thing', {
      ...{ variant: 'p50', ours: [1], baseline: [2], unit: 'ms', target: { atMost: 0.4 } },
      more: { calls: 1_234 },
    });
    const benchmark = { name: 'quick-thing', ours: 'ours', baseline: 'theirs', run: () => Promise.resolve([]) };
    const text = tableOf({ machine: 'a machine', lines: [line] }, [benchmark]);
    expect(text.startsWith('Measured on a machine.\n\n')).toBe(true);
    expect(text.split('\n')[4]).toMatch(
      /^\| `quick-thing`, p50 \| 1 \[1 – 1\] ms \| 2 \[2 – 2\] ms \| 0\.5 +\| ≤ 0\.4 +\| missed +\| 1 +\|$/,
    );
    expect(text).toContain('- `quick-thing`: ours; against theirs.');
    expect(text).toContain('- quick-thing, p50: `calls` 1,234');
  });

  it('takes the place of the old one, and touches nothing else', () => {
    const written = replaceBetweenMarkers(DOCUMENT, 'benchmarks', 'new');
    expect(written).toContain('new');
    expect(written).not.toContain('old');
    expect(written.startsWith('before\n')).toBe(true);
    expect(written.endsWith('\nafter')).toBe(true);
    expect(replaceBetweenMarkers(written, 'benchmarks', 'new')).toBe(written);
  });

  it('is written nowhere where it has no place', () => {
    expect(() => replaceBetweenMarkers('nothing', 'benchmarks', 'new')).toThrow('no place for benchmarks');
  });

  it('shows three digits that count', () => {
    expect([0.123_45, 12.345, 1_234.5, 130_000].map(figureText)).toEqual(['0.123', '12.3', '1,235', '130,000']);
  });
});
