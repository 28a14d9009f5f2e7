import { fileURLToPath } from 'node:url';
import { eventually, startProgram, type Program } from '@token-broker/testing';
import type { NearCacheLine, NearCachesSettings } from './near-cache-messages.js';

const PATH = fileURLToPath(new URL('near-caches.ts', import.meta.url));

/** How a near cache stopped to serve a token. Times are of the machine's monotonic clock. */
export interface Stop {
  readonly lastServedAtMs: number;
  readonly seenAtMs: number;
}

/** Near caches in a process of their own, as its parent knows them from its lines. */
export class NearCacheProcess {
  readonly size: number;
  readonly #program: Program;
  readonly #serves: number[];
  readonly #stops: Map<number, Stop>[];
  #linesRead = 0;

  constructor(settings: NearCachesSettings) {
    this.size = settings.addresses.length;
    this.#serves = settings.addresses.map(() => 0);
    this.#stops = settings.addresses.map(() => new Map<number, Stop>());
    this.#program = startProgram(PATH, {
      nodeArgs: ['--import', 'tsx', '--conditions=token-broker:source'],
      args: [JSON.stringify(settings)],
    });
  }

  /** The generation that each near cache serves; 0: none. */
  get serves(): readonly number[] {
    this.#read();
    return this.#serves;
  }

  /** How each near cache stopped to serve the generation that it is given, where it has. */
  stopsOf(generations: readonly number[]): readonly (Stop | undefined)[] {
    this.#read();
    return generations.map((generation, index) => this.#stops[index]?.get(generation));
  }

  /** @throws {Error} with what the process has said, where it has ended */
  async stop(): Promise<void> {
    await this.#program.stop();
  }

  #read(): void {
    const { stdout, stderr } = this.#program;
    for (const text of stdout.slice(this.#linesRead)) {
      const line = JSON.parse(text) as NearCacheLine;
      this.#serves[line.nearCache] = line.kind === 'serves' ? line.generation : 0;
      if (line.kind === 'stopped') this.#stops[line.nearCache]?.set(line.generation, line);
    }
    this.#linesRead = stdout.length;
    if (stderr.length > 0) throw new Error(`a process of near caches says: ${stderr.slice(0, 10).join('\n')}`);
  }
}

/** Resolves with what each near cache serves, when all of them serve something. */
export async function allServe(
  processes: readonly NearCacheProcess[],
  withinMs: number,
): Promise<readonly (readonly number[])[]> {
  await eventually(() => processes.every(({ serves }) => serves.every((generation) => generation !== 0)), {
    what: 'every near cache to serve a token',
    withinMs,
    everyMs: 20,
  });
  return processes.map(({ serves }) => [...serves]);
}

/** Resolves with how each near cache stopped to serve what it served, when all of them have. */
export async function allStopped(
  processes: readonly NearCacheProcess[],
  served: readonly (readonly number[])[],
  withinMs: number,
): Promise<Stop[]> {
  const stops = (): (Stop | undefined)[] => processes.flatMap((process, index) => process.stopsOf(served[index] ?? []));
  await eventually(() => stops().every((stop) => stop !== undefined), {
    what: 'every near cache to stop serving the revoked token',
    withinMs,
    everyMs: 20,
  });
  return stops().filter((stop) => stop !== undefined);
}
