import { describe, expect, it } from 'vitest';
import { LocalError } from './local-error.js';
import { Report } from './report.js';
import { Screen, table } from './screen.js';

function paper(isTTY = false, env: Record<string, string> = {}) {
  const written: string[] = [];
  const screen = new Screen({ isTTY, write: (text) => written.push(text) }, env);
  return { screen, report: new Report(screen, { verbose: false }), text: () => written.join('') };
}

const ESCAPE = '\u001b';

describe('the report', () => {
  it('has neither colours nor cursor movements where nobody looks on', () => {
    const { report, text } = paper();
    report.begin('NATS');
    report.done('NATS', 'nats://127.0.0.1:4222', 250);
    report.claims([{ name: 'x', sentence: 'it was called once', figure: 1, unit: 'calls', expected: '1', true: true }]);
    expect(text()).not.toContain(ESCAPE);
    expect(text()).not.toContain('\r');
    expect(text()).toContain('waiting for NATS to start\n');
    expect(text()).toContain('nats://127.0.0.1:4222  (0.3 s)\n');
  });

  it('colours on a terminal, unless NO_COLOR is set', () => {
    const claims = [{ name: 'x', sentence: 's', figure: 1, expected: '1', true: true }];
    const coloured = paper(true);
    coloured.report.claims(claims);
    expect(coloured.text()).toContain(`${ESCAPE}[32mtrue`);
    const plain = paper(true, { NO_COLOR: '1' });
    plain.report.claims(claims);
    expect(plain.text()).not.toContain(ESCAPE);
  });

  it('takes the line about waiting away when what is awaited is there', () => {
    const { report, text } = paper(true, { NO_COLOR: '1' });
    report.begin('Redis');
    report.done('Redis', 'redis://127.0.0.1:6379', 100);
    expect(text()).toMatch(/waiting for Redis to start \(0 s\)\r.\[2K {2}Redis/u);
  });

  it('says of an untrue claim what was expected, and counts it', () => {
    const { report, text } = paper();
    report.claims([
      { name: 'a', sentence: 'it was called once', figure: 2, unit: 'calls', expected: '1', true: false },
      { name: 'b', sentence: 'all is well', figure: 'ok', expected: 'ok', true: true },
    ]);
    expect(text()).toContain('FALSE  it was called once: 2 calls\n         expected: 1\n');
    expect(text()).toContain('1 of 2 claims are not true.');
  });

  it('says of a failure what happened, why, what to do, and the last lines of the process', () => {
    const { report, text } = paper();
    report.failure(
      new LocalError('broker 2 is gone', { why: 'it ended', next: 'Look below.', lines: ['x is missing'] }),
    );
    expect(text()).toBe('\nbroker 2 is gone: it ended.\nLook below.\n    x is missing\n');
  });

  it('shows what processes print only where it is asked for', () => {
    const { report, text } = paper();
    report.line('broker 1', 'hello');
    expect(text()).toBe('');
  });
});

describe('a table', () => {
  it('puts numbers to the right and words to the left, under heads as wide as their column', () => {
    expect(
      table(
        ['layer', 'requests'],
        [
          ['memory', '1,234'],
          ['Redis', '7'],
        ],
        '',
      ),
    ).toEqual(['layer    requests', '------   --------', 'memory      1,234', 'Redis           7']);
  });
});
