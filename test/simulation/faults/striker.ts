import type { SimulatedProcess } from '@token-broker/testing';
import type { Entry } from '../scenario.js';
import type { World } from '../world/world.js';
import { kindOf, type FaultKind } from './catalogue.js';
import { isAt } from './fault-kind.js';
import type { Point } from './points.js';

/** Lets the entries of a scenario happen, each at its time or at its point, and ends them. */
export class Striker {
  /** How often each kind has struck. */
  readonly struck = new Map<string, number>();
  /** What struck, in that order. */
  readonly order: Entry[] = [];
  readonly #world: World;
  /** What ends those that last. */
  readonly #ends = new Set<() => void>();
  readonly #armed = new Map<Point, { readonly entry: Entry; left: number }[]>();
  #over = false;

  constructor(world: World, entries: readonly Entry[]) {
    this.#world = world;
    for (const entry of entries) {
      const { trigger } = entry;
      if ('atMs' in trigger) {
        world.loop.at(trigger.atMs, () => {
          this.#strike(entry, undefined);
        });
        continue;
      }
      const armed = this.#armed.get(trigger.point) ?? [];
      armed.push({ entry, left: trigger.nth });
      this.#armed.set(trigger.point, armed);
    }
    world.onPass = (point, process) => {
      this.#passed(point, process);
    };
  }

  /** Nothing goes wrong any more: everything that lasts ends now. */
  heal(): void {
    this.#over = true;
    this.#world.bareCaller.end();
    for (const end of [...this.#ends]) end();
  }

  #passed(point: Point, process: SimulatedProcess | undefined): void {
    for (const armed of this.#armed.get(point) ?? []) if (--armed.left === 0) this.#strike(armed.entry, process);
  }

  #strike(entry: Entry, process: SimulatedProcess | undefined): void {
    if (this.#over) return;
    const world = this.#world;
    const kind = kindOf(entry.kind);
    const broker =
      world.brokers.find((host) => isAt(host, process)) ?? world.brokers[entry.target % world.brokers.length];
    const client =
      world.clients.find((host) => isAt(host, process)) ?? world.clients[entry.target % world.clients.length];
    if (broker === undefined || client === undefined) return;
    this.order.push(entry);
    this.struck.set(kind.name, (this.struck.get(kind.name) ?? 0) + 1);
    world.timeline?.note('-', `BEGINS ${kind.name} (broker ${broker.process.name}, client ${client.process.name})`);
    const spoilt = spoiltBy(kind, client.index);
    if (spoilt !== undefined) world.trouble.begin(spoilt);
    const undo = kind.begin({ world, broker, client, target: entry.target, size: entry.size });
    const end = (): void => {
      if (!this.#ends.delete(end)) return;
      world.timeline?.note('-', `ENDS ${kind.name}`);
      undo?.();
      if (spoilt !== undefined) world.trouble.end(spoilt, kind.aftermathMs);
    };
    this.#ends.add(end);
    if (undo === undefined) end();
    else
      world.loop.after(
        Math.min(Math.max(entry.forMs, kind.leastMs ?? 0), kind.mostMs ?? Number.POSITIVE_INFINITY),
        end,
      );
  }
}

function spoiltBy({ spoils }: FaultKind, client: number): number | 'all' | 'upstream' | undefined {
  switch (spoils) {
    case 'nothing':
      return undefined;
    case 'one-client':
      return client;
    case 'everything':
      return 'all';
    case 'upstream':
      return 'upstream';
  }
}
