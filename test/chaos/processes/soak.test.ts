import { expect, it } from 'vitest';
import { soak } from '../../soak/soak.js';

const SECONDS = 15;
/** Beside the time itself: servers, three replicas and two processes of callers that start, and replicas that come back. */
const AROUND_IT_MS = 75_000;

it(
  `replicas that are killed, ended and stopped at random for ${String(SECONDS)} s: everything holds (npm run soak: two minutes)`,
  async () => {
    const report = await soak({ seconds: SECONDS, seed: 20_261_121 });
    const { disturbances, verdict } = report;
    // The whole report is shown where something did not hold; `--seed` repeats its choices.
    expect({ ...report, verdict: { ...verdict, violations: [] } }).toEqual(report);
    expect(disturbances.SIGKILL + disturbances.SIGTERM + disturbances.SIGSTOP).toBeGreaterThan(3);
    expect(report.revocations).toBeGreaterThan(0);
    expect(report.callers.calls).toBeGreaterThan(1_000);
  },
  SECONDS * 1_000 + AROUND_IT_MS,
);
