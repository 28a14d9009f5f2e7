import { expect, it } from 'vitest';
import { selfTimes } from './profile.js';

const frame = (functionName: string, url = ''): { functionName: string; url: string; lineNumber: number } => ({
  ...{ functionName, url, lineNumber: 6 },
});

it('shares the busy time of a program among its functions, and leaves the idle one out', () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('seal', 'file:///home/someone/broker/dist/app/codec.js') },
      { id: 3, callFrame: frame('(garbage collector)') },
    ],
    samples: [1, 2, 3, 2, 1, 2, 2],
  };
  expect(selfTimes(profile, 10)).toEqual([
    { where: 'seal dist/app/codec.js:7', share: 0.8 },
    { where: '(garbage collector)', share: 0.2 },
  ]);
});
