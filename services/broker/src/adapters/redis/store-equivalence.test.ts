import { createSystemClock } from '@token-broker/foundation';
import { SeededRandom } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { redisOfFile } from './fakes/redis-of-file.js';
import { PARTITIONS } from './fakes/story/cast.js';
import { Story, TooSlow } from './fakes/story/story.js';
import { fakeWorldOf, worldOf, type World } from './fakes/worlds.js';

const clock = createSystemClock();
const redis = redisOfFile();

describe('the fake store', () => {
  const tellBoth = async (
    seed: number,
    length: number,
    isTimed: boolean,
  ): Promise<[real: readonly string[], fake: readonly string[]]> => {
    await redis.client.flushall();
    const tell = (world: World): Promise<readonly string[]> => new Story(world, clock, seed, isTimed).tell(length);
    return [await tell(worldOf(redis, PARTITIONS, clock)), await tell(fakeWorldOf(PARTITIONS))];
  };

  it('answers random commands as Redis does, and leaves the same behind', async () => {
    const kinds =
      'hit miss go busy relock failed paused policy ok dead lost expired replayed epoch dropped stale limited reset scanned air';
    const untold = new Set(kinds.split(' '));
    // Until all of that has happened, or the stories would be too dull to prove anything.
    for (let run = 0; run < 12 || untold.size > 0; run++) {
      expect(run, `what never happened: ${[...untold].join(', ')}`).toBeLessThan(160);
      const { seed } = new SeededRandom();
      try {
        const [real, fake] = await tellBoth(seed, 100, false);
        expect(fake).toEqual(real);
        for (const line of real) for (const word of line.split(' ')) untold.delete(word);
      } catch (error) {
        throw new Error(`seed ${String(seed)}`, { cause: error });
      }
    }
  }, 120_000);

  it('forgets what is over when Redis does', async () => {
    for (let told = 0, run = 0; told < 3; run++) {
      if (run > 20) throw new Error('this machine is too slow to compare times');
      const { seed } = new SeededRandom();
      try {
        const [real, fake] = await tellBoth(seed, 40, true);
        expect(fake).toEqual(real);
        told++;
      } catch (error) {
        if (!(error instanceof TooSlow)) throw new Error(`seed ${String(seed)}`, { cause: error });
      }
    }
  }, 60_000);
});
