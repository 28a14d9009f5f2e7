import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Schedule } from './schedule.js';

const times = fc.array(fc.integer({ min: 0, max: 100 }));

function drain(schedule: Schedule<number>, nowMs = Number.POSITIVE_INFINITY): number[] {
  const taken: number[] = [];
  for (let item = schedule.takeDue(nowMs); item !== undefined; item = schedule.takeDue(nowMs)) taken.push(item);
  return taken;
}

it('gives back everything, in the order in which it is due, in whatever order it was added', () => {
  fc.assert(
    fc.property(times, (atMs) => {
      const schedule = new Schedule<number>();
      for (const at of atMs) schedule.add(at, at);
      expect(schedule.size).toBe(atMs.length);
      expect(schedule.nextAtMs).toBe(atMs.length === 0 ? undefined : Math.min(...atMs));
      expect(drain(schedule)).toEqual(atMs.toSorted((a, b) => a - b));
      expect(schedule.size).toBe(0);
    }),
  );
});

it('gives nothing before it is due', () => {
  fc.assert(
    fc.property(times, fc.integer({ min: 0, max: 100 }), (atMs, nowMs) => {
      const schedule = new Schedule<number>();
      for (const at of atMs) schedule.add(at, at);
      expect(drain(schedule, nowMs)).toEqual(atMs.filter((at) => at <= nowMs).sort((a, b) => a - b));
      expect(schedule.nextAtMs ?? Number.POSITIVE_INFINITY).toBeGreaterThan(nowMs);
    }),
  );
});

it('forgets what is not to be kept, and stays in order', () => {
  fc.assert(
    fc.property(times, (atMs) => {
      const schedule = new Schedule<number>();
      for (const at of atMs) schedule.add(at, at);
      schedule.retain((at) => at % 2 === 0);
      expect(drain(schedule)).toEqual(atMs.filter((at) => at % 2 === 0).sort((a, b) => a - b));
    }),
  );
});
