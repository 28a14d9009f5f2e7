import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { formatProblems, parseConfiguration, type ConfigurationProblem } from '../index.js';
import type { FileContent } from '../secret-file.js';

/** Each secret of these documents says so in its value, so that a leak can be searched for. */
export const CANARY = 'canary-5e9a1c';
export const KEY = Buffer.alloc(32, 3).toString('base64');

/** A document that is accepted: every refusal is this one with one thing changed. */
export const VALID = {
  nats: { servers: ['nats://127.0.0.1:4222'], user: 'broker', password: `${CANARY}-nats` },
  redis: { url: `redis://u:${CANARY}@127.0.0.1:6379/0` },
  encryption: { keys: [{ id: 'k1', secret: KEY }] },
  sources: {
    payments: {
      provider: 'oauth2',
      issuer: 'https://login.example.com',
      clientId: 'payments',
      clientSecret: `${CANARY}-source`,
    },
  },
  callers: { orders: { sources: ['payments'] } },
};

type Tree = Record<string, unknown>;

/** New values by their paths, such as `sources/payments/issuer`; undefined removes. */
export type Changes = Readonly<Record<string, unknown>>;

/** The valid document with these changes. */
export function changed(changes: Changes): string {
  const tree = structuredClone(VALID) as Tree;
  for (const [path, value] of Object.entries(changes)) {
    const parts = path.split('/');
    const last = parts.pop() ?? '';
    let node = tree;
    for (const part of parts) node = (node[part] ??= {}) as Tree;
    if (value === undefined) Reflect.deleteProperty(node, last);
    else node[last] = value;
  }
  return stringify(tree);
}

const ENVIRONMENT = { SHORT: 'abc', EMPTY: '', LEAK: `${CANARY}-env` };

const FILES: Readonly<Record<string, FileContent | 'EACCES'>> = {
  '/cfg/open': { text: `${CANARY}-file`, mode: 0o100644 },
  '/cfg/denied': 'EACCES',
};

/** What is wrong with a document that lies at `/cfg/broker.yaml`, among these files. */
export async function problemsOf(text: string, files = FILES): Promise<readonly ConfigurationProblem[]> {
  const readFile = (path: string): Promise<FileContent> => {
    const found = files[path] ?? 'ENOENT';
    if (typeof found !== 'string') return Promise.resolve(found);
    return Promise.reject(Object.assign(new Error(CANARY), { code: found }));
  };
  const parsed = await parseConfiguration(text, {
    env: ENVIRONMENT,
    readFile,
    checkModes: true,
    file: '/cfg/broker.yaml',
  });
  return parsed.ok ? [] : parsed.error.problems;
}

/** What is written, what that changes, where the one problem must be, what it says (and hints). */
export type Refusal = readonly [written: string, changes: Changes, path: string, words: string];

/** A test of each: one problem, in its place, that shows no secret. */
export function itRefuses(
  all: Readonly<Record<string, readonly Refusal[]>>,
  problemsOfChanged = (changes: Changes): Promise<readonly ConfigurationProblem[]> => problemsOf(changed(changes)),
): void {
  describe.each(Object.entries(all))('refused %s', (_kind, refusals) => {
    it.each(refusals)('%s', async (_name, changes, path, words) => {
      const problems = await problemsOfChanged(changes);
      const printed = formatProblems(problems, 'broker.yaml');
      expect(problems.map((problem) => problem.path)).toEqual([path]);
      expect(printed).toContain(words);
      expect(printed).toMatch(/^broker\.yaml:\d+:\d+ /);
      expect(printed).not.toContain(CANARY);
      // Nor a part of a key or of a certificate.
      expect(printed).not.toMatch(/MI[GIE][A-Za-z0-9+/]{8}/);
    });
  });
}
