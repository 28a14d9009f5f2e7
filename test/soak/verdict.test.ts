import { expect, it } from 'vitest';
import type { CallerReport } from './caller-messages.js';
import { judge, type Observations } from './verdict.js';

const TOKEN = { client: 'c', source: 'a', epoch: 1, generation: 5, lastAskedAtMs: 30_000 };
const REPORT: CallerReport = {
  calls: 100,
  errors: {},
  longestMs: 10,
  late: 0,
  leastRemainingMs: 2_000,
  belowMinimum: 0,
  stepsBack: 0,
  handedOut: [TOKEN],
};
const REVOCATION = { source: 'a', floor: 5, returnedAtMs: 30_000, complete: true };
const WELL: Observations = {
  sources: ['a'],
  lifeMs: 10_000,
  tickMs: 200,
  beganAtMs: 0,
  endedAtMs: 60_000,
  idpCalls: 8,
  disturbances: { SIGKILL: 1, SIGTERM: 1, SIGSTOP: 0, badExits: 0 },
  revocations: [REVOCATION],
  reports: [REPORT],
};

it('finds nothing where all was well, and counts one call for each life', () => {
  // 30 s before the revocation and 30 s after it, each with one token at first and a new one every 8 s, at the earliest 7.5 s.
  expect(judge(WELL)).toMatchObject({ idealIdpCalls: 8, mostIdpCalls: 12, servedAfterRevocationMs: 0, violations: [] });
});

it.each<[string, Partial<Observations>]>([
  ['error though', { reports: [{ ...REPORT, errors: { IDP_TIMEOUT: 2 } }] }],
  ['deadline', { reports: [{ ...REPORT, late: 1 }] }],
  ['minimum lifetime', { reports: [{ ...REPORT, belowMinimum: 1 }] }],
  ['stepped back', { reports: [REPORT, { ...REPORT, stepsBack: 1 }] }],
  ['beyond the bound', { reports: [{ ...REPORT, handedOut: [{ ...TOKEN, lastAskedAtMs: 32_200 }] }] }],
  ['not complete', { revocations: [{ ...REVOCATION, complete: false }] }],
  ['no cutoff', { revocations: [{ ...REVOCATION, floor: 0 }] }],
  ['SIGTERM', { disturbances: { ...WELL.disturbances, badExits: 1 } }],
  ['more often', { idpCalls: 13 }],
  ['no tokens', { idpCalls: 0 }],
])('finds what must not be: … %s …', (sentence, change) => {
  const { violations } = judge({ ...WELL, ...change });
  expect(violations).toEqual([expect.stringContaining(sentence)]);
});

it('tells the tokens of a source from those that came after its revocation, and from those of others', () => {
  const handedOut = [
    { ...TOKEN, generation: 6, lastAskedAtMs: 50_000 },
    { ...TOKEN, source: 'b', lastAskedAtMs: 50_000 },
    { ...TOKEN, lastAskedAtMs: 30_400 },
  ];
  expect(judge({ ...WELL, reports: [{ ...REPORT, handedOut }] })).toMatchObject({
    servedAfterRevocationMs: 400,
    violations: [],
  });
});
