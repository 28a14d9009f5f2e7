import { beforeEach, describe, expect, it } from 'vitest';
import { EventLoop } from './event-loop.js';
import { SimulatedProcess } from './simulated-process.js';

let loop: EventLoop;
let process: SimulatedProcess;
let seen: string[];

beforeEach(() => {
  loop = new EventLoop();
  process = new SimulatedProcess(loop, 'p');
  seen = [];
});

const note = (what: string) => (): void => void seen.push(what);

describe('a process', () => {
  it('lets in and out at once while it runs, and tells each step out', () => {
    process.onStep = (step) => seen.push(`step ${step}`);
    process.enter(note('in'));
    process.leave('send', note('out'));
    expect(seen).toEqual(['in', 'step send', 'out']);
  });

  it('that is stopped sends and takes nothing until it goes on: first what it was about to send', async () => {
    process.clock.startTimer(10, note('timer'));
    process.stop();
    process.enter(note('in 1'));
    process.leave('send', note('out'));
    process.enter(note('in 2'));
    await loop.run(100);
    expect(seen).toEqual([]);
    process.continue();
    expect(seen).toEqual(['out']);
    await loop.run(100);
    expect(seen).toEqual(['out', 'in 1', 'in 2', 'timer']);
  });

  it('can be stopped at the very step that it is about to do', async () => {
    process.onStep = () => {
      process.stop();
    };
    process.leave('send', note('out'));
    expect(seen).toEqual([]);
    process.continue();
    await loop.run(1);
    expect(seen).toEqual(['out']);
  });

  it('that is stopped again has taken only what came before', async () => {
    process.stop();
    process.enter(() => {
      seen.push('in 1');
      process.stop();
    });
    process.enter(note('in 2'));
    process.continue();
    await loop.run(10);
    expect(seen).toEqual(['in 1']);
    process.continue();
    await loop.run(10);
    expect(seen).toEqual(['in 1', 'in 2']);
  });

  it.each(['while it runs', 'while it is stopped', 'at a step'])(
    'that is killed %s does nothing more',
    async (when) => {
      process.clock.startTimer(10, note('timer'));
      if (when !== 'while it runs') process.stop();
      process.leave('send', note('out'));
      process.enter(note('in'));
      seen = [];
      if (when === 'at a step') {
        process.onStep = () => {
          process.kill();
        };
        process.continue();
        seen = [];
        process.leave('last', note('last'));
      } else process.kill();
      process.continue();
      process.enter(note('in'));
      process.leave('send', note('out'));
      await loop.run(100);
      expect(seen).toEqual([]);
      expect(process.isDead).toBe(true);
    },
  );
});
