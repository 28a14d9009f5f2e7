import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '@token-broker/foundation';
import type { AuditRecord } from '@token-broker/protocol';
import { VirtualClock } from '@token-broker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordsOfFile } from './audit/audit-file.js';
import { errorOf, runOn, type Given, type Outcome } from './fakes/run.js';

let folder = '';
let path = '';
const clock = new VirtualClock();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenctl-audit-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

function record(id: string, change: Partial<AuditRecord> = {}): AuditRecord {
  const at = new Date(clock.wallMs()).toISOString();
  return { audit: 1, id, at, broker: 'b1', event: 'revocation.ordered', by: 'ops', ...change };
}
const lineOf = (of: AuditRecord): string => `${JSON.stringify(of)}\n`;
const run = (args: readonly string[], given: Given = {}): Promise<Outcome> => runOn(clock, ['audit', ...args], given);

async function idsOf(args: readonly string[]): Promise<string[]> {
  const { stdout, code } = await run(['--file', path, '--json', ...args]);
  expect(code).toBe(0);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => (JSON.parse(line) as AuditRecord).id);
}

describe('audit --file', () => {
  it('finds each record once, among lines of a log and lines that were cut', async () => {
    const log = '{"level":"info","msg":"broker: serving"}\n';
    await writeFile(
      path,
      `${log}${lineOf(record('a'))}{"audit":1,"id":"cut\n${lineOf(record('a'))}{"audit":true}\n${log}`,
    );
    // The last line may have no end.
    await appendFile(path, JSON.stringify(record('b')));
    expect(await idsOf([])).toEqual(['a', 'b']);
  });

  it('shows a line for people', async () => {
    const at = '2026-11-05T12:34:56.789Z';
    const what = {
      at,
      selector: 'source:payments-api',
      reason: 'leaked\u001b[2J in a "log"',
      result: 'incomplete',
    } as const;
    await writeFile(
      path,
      lineOf(record('a', { ...what, revocation: 'r1', facts: { broadcast: false, detail: 'x y' } })),
    );
    expect((await run(['--file', path])).stdout).toBe(
      '2026-11-05 12:34:56.789 revocation.ordered     ops source:payments-api incomplete "leaked [2J in a \\"log\\"" broadcast=false detail="x y" revocation=r1 [b1]\n',
    );
  });

  it('shows where it was, where the selector does not say', async () => {
    const what = { selector: 'subject', source: 'invoices', facts: { targets: 2 } };
    await writeFile(path, lineOf(record('a', { ...what, at: '2026-11-05T12:34:56.789Z' })));
    expect((await run(['--file', path])).stdout).toBe(
      '2026-11-05 12:34:56.789 revocation.ordered     ops subject source=invoices targets=2 [b1]\n',
    );
  });

  it('shows those that are wanted', async () => {
    const old = new Date(clock.wallMs() - 2 * 3_600_000).toISOString();
    await writeFile(
      path,
      [
        record('old', { at: old }),
        record('ordered', { source: 'payments' }),
        record('ended', { event: 'revocation.ended', by: 'night-shift' }),
        record('set', { event: 'refresh-token.set', source: 'mailbox' }),
        record('new', { event: 'of.a-newer-broker' }),
      ]
        .map(lineOf)
        .join(''),
    );
    expect(await idsOf(['--since', '1h'])).toEqual(['ordered', 'ended', 'set', 'new']);
    expect(await idsOf(['--event', 'revocation'])).toEqual(['old', 'ordered', 'ended']);
    expect(await idsOf(['--event', 'revocation.ended'])).toEqual(['ended']);
    expect(await idsOf(['--by', 'night-shift'])).toEqual(['ended']);
    expect(await idsOf(['--source', 'mailbox'])).toEqual(['set']);
    const none = await run(['--file', path, '--by', 'nobody']);
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: 'No record matches.\n' });
  });

  it('reads standard input', async () => {
    const { stdout } = await run(['--file', '-', '--json'], { files: { '-': lineOf(record('a')) } });
    expect(JSON.parse(stdout)).toEqual(record('a'));
  });
});

describe('audit --stream', () => {
  it('shows what the stream keeps', async () => {
    const outcome = await run(['--stream', 'AUDIT', '--json'], { auditStream: [record('a')] });
    expect(outcome).toMatchObject({ code: 0, stdout: lineOf(record('a')) });
    expect(outcome.settings?.caller).toBe('ops');
  });
});

it.each([
  [[], /not said where/],
  [['--file', 'a', '--stream', 'b'], /exclude each other/],
  [['--file', '-', '--follow'], /cannot be followed/],
  [['--stream', 'a.b'], /not the name of a stream/],
  [['--file', '/nowhere/audit.jsonl'], /ENOENT/],
  [['--file', 'a', '--event', 'revocations'], /no event/],
  [['--file', 'a', '--since', 'yesterday'], /--since/],
])('audit %j is refused', async (args, text) => {
  const outcome = await run(['--json', ...args]);
  expect(outcome.code).toBe(2);
  expect(errorOf(outcome).message).toMatch(text);
});

describe('audit --follow', () => {
  it('goes on with what comes, over a rotation and over an emptied file', async () => {
    await writeFile(path, lineOf(record('a')));
    const records = recordsOfFile(path, true, createSystemClock());
    const next = async (): Promise<string> => {
      const result = await records.next();
      if (result.done === true) throw new Error('the file is not followed');
      return result.value.id;
    };
    expect(await next()).toBe('a');
    const half = lineOf(record('b'));
    const b = next();
    await appendFile(path, half.slice(0, 20));
    await appendFile(path, half.slice(20));
    expect(await b).toBe('b');
    const c = next();
    await rename(path, `${path}.1`);
    await writeFile(path, lineOf(record('c', { reason: 'a longer one' })));
    expect(await c).toBe('c');
    const d = next();
    await writeFile(path, '');
    await appendFile(path, lineOf(record('d')));
    expect(await d).toBe('d');
    await records.return(undefined);
  });
});
