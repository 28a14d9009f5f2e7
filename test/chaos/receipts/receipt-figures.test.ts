import { expect, it } from 'vitest';
import { measureReceipts } from './receipt-figures.js';
import { measureSearches } from './search-figures.js';

const progress = (): void => undefined;
const LIMIT_MS = 120_000;

it(
  'confirms for each of many subscriptions, and counts those that are silent',
  async () => {
    const [round] = await measureReceipts({
      ...{ nearCaches: 400, connections: 8, processes: 2, rounds: 1, silent: 30, progress },
    });
    expect(round?.counts).toEqual({ confirmed: 370, stragglers: 30 });
    expect(round?.afterMs.max).toBeGreaterThanOrEqual(round?.afterMs.p50 ?? Number.NaN);
  },
  LIMIT_MS,
);

it(
  'finds every slot of a subject among many, and the one with a token',
  async () => {
    const figures = await measureSearches({ slots: 700, progress });
    expect(figures).toMatchObject({
      dryRun: { slots: 700 },
      token: { slots: 1 },
      subject: { slots: 699 },
      issuedBefore: { slots: 700 },
    });
  },
  LIMIT_MS,
);
