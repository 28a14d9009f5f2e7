import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAUSES } from './live/causes.js';
import { startDeployment, type Deployment } from './live/deployment.js';
import { createLooking, type Looking } from './live/looking.js';
import { allTargets } from './live/targets.js';

const targets = await allTargets();
let deployment: Deployment;
let looking: Looking;

beforeAll(async () => {
  deployment = await startDeployment();
  looking = createLooking(deployment, targets);
});
afterAll(() => deployment.stop());

it('every panel and every rule has its cause here', () => {
  const shown = CAUSES.flatMap(({ shows }) => shows.map((each) => each.replace(/ @.*/, '')));
  expect([...targets.keys()].filter((name) => !shown.includes(name))).toEqual([]);
  expect(shown.filter((name) => !targets.has(name))).toEqual([]);
});

describe('data after its cause, and none before', () => {
  it.each(CAUSES.map((cause, index) => ({ cause, index, what: cause.what })))(
    '$what',
    { timeout: 45_000 },
    async ({ cause, index }) => {
      // Before the traffic, there is what brokers show by being there.
      const toCome = CAUSES.slice(Math.max(1, index)).filter(({ hasBegun }) => hasBegun !== true);
      const tooEarly = await looking.answered(toCome.flatMap(({ shows }) => shows));
      await cause.happens(deployment);
      const unseen = await looking.untilSeen(cause);
      await cause.ends?.(deployment);
      expect({ tooEarly, unseen }).toEqual({ tooEarly: [], unseen: [] });
    },
  );
});

it('every rule was evaluated, and none has failed', async () => {
  const rules = await deployment.prometheus.rules();
  expect(rules.length).toBeGreaterThan(0);
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
});
