import { describe, expect, it } from 'vitest';
import { SingleFlight } from './single-flight.js';

/** Work that a test ends when it likes. */
class Work {
  started = 0;
  readonly #ends: { resolve: (value: string) => void; reject: (cause: Error) => void }[] = [];

  readonly start = (): Promise<string> => {
    this.started += 1;
    return new Promise<string>((resolve, reject) => this.#ends.push({ resolve, reject }));
  };

  land(run: number, value: string): void {
    this.#ends[run]?.resolve(value);
  }

  crash(run: number, message: string): void {
    this.#ends[run]?.reject(new Error(message));
  }
}

describe('SingleFlight', () => {
  it('joins those who come while it is in the air into one run', async () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    const waiting = [1, 2, 3].map(() => flights.join('key', work.start));
    expect(work.started).toBe(1);
    work.land(0, 'token');
    expect(await Promise.all(waiting)).toEqual(['token', 'token', 'token']);
  });

  it('starts the work within the call, and apart for each key', () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    void flights.join('one', work.start);
    void flights.join('other', work.start);
    expect(work.started).toBe(2);
    expect(flights.size).toBe(2);
    expect([flights.has('one'), flights.has('other'), flights.has('third')]).toEqual([true, true, false]);
  });

  it('starts anew once a run has ended, well or not, and tells everybody how', async () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    const first = flights.join('key', work.start);
    const second = flights.join('key', work.start);
    work.crash(0, 'no answer');
    await expect(first).rejects.toThrow('no answer');
    await expect(second).rejects.toThrow('no answer');
    expect(flights.size).toBe(0);
    const third = flights.join('key', work.start);
    work.land(1, 'token');
    expect(await third).toBe('token');
    expect(flights.size).toBe(0);
  });

  it('lets those who joined land after a detach, while later ones start a run of their own', async () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    const before = flights.join('key', work.start);
    flights.detach('key');
    expect(flights.has('key')).toBe(false);
    const after = flights.join('key', work.start);
    expect(work.started).toBe(2);
    work.land(0, 'old');
    work.land(1, 'new');
    expect([await before, await after]).toEqual(['old', 'new']);
  });

  it('removes only itself when it ends: the successor of a detached flight stays joinable', async () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    const detached = flights.join('key', work.start);
    flights.detach('key');
    const successor = flights.join('key', work.start);
    work.land(0, 'old');
    await detached;
    expect(flights.has('key')).toBe(true);
    const joined = flights.join('key', work.start);
    expect(work.started).toBe(2);
    work.land(1, 'new');
    expect([await successor, await joined]).toEqual(['new', 'new']);
    expect(flights.size).toBe(0);
  });

  it('detaches by a rule, and no others', () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    for (const key of ['a 1', 'a 2', 'b 1']) void flights.join(key, work.start);
    flights.detachWhere((key) => key.startsWith('a '));
    expect(['a 1', 'a 2', 'b 1'].map((key) => flights.has(key))).toEqual([false, false, true]);
  });

  it('keeps nothing of work that throws before there is a promise', () => {
    const flights = new SingleFlight<string>();
    const broken = (): Promise<string> => {
      throw new Error('at once');
    };
    expect(() => flights.join('key', broken)).toThrow('at once');
    expect(flights.size).toBe(0);
  });

  it('settles when everything in the air has ended, failures too', async () => {
    const flights = new SingleFlight<string>();
    const work = new Work();
    const first = flights.join('one', work.start);
    const second = flights.join('other', work.start);
    let settled = false;
    const done = flights.settle().then(() => {
      settled = true;
    });
    work.crash(0, 'no answer');
    await expect(first).rejects.toThrow();
    expect(settled).toBe(false);
    work.land(1, 'token');
    await second;
    await done;
    expect(settled).toBe(true);
  });
});
