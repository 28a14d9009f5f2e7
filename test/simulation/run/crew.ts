import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.js';
import type { Chunk, Told } from './messages.js';

/** A world makes much and keeps little of it: with room for it, fewer of its short-lived objects are copied as survivors. */
const NODE_OPTIONS = ['--enable-source-maps', '--max-semi-space-size=64'];
const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** Workers that run chunks of seeds, each in a process of its own. */
export class Crew {
  readonly #workers: readonly ChildProcess[];
  #idle: ChildProcess[];
  #waiting: ((worker: ChildProcess) => void)[] = [];
  #closing = false;

  static async gather(size: number): Promise<Crew> {
    return new Crew(size, await bundle(WORKER));
  }

  private constructor(size: number, program: string) {
    this.#workers = Array.from({ length: size }, () =>
      fork(program, { execArgv: [...NODE_OPTIONS], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    this.#idle = [...this.#workers];
    for (const worker of this.#workers)
      worker.once('exit', (code) => {
        if (this.#closing) return;
        process.stderr.write(`a worker ended by itself with code ${String(code)}\n`);
        process.exit(1);
      });
  }

  get size(): number {
    return this.#workers.length;
  }

  /** Runs a chunk as soon as a worker is free; `onOutcome` is called for each seed. */
  async run(chunk: Chunk, onOutcome: (outcome: Told) => void): Promise<void> {
    const worker = this.#idle.pop() ?? (await new Promise<ChildProcess>((resolve) => this.#waiting.push(resolve)));
    await new Promise<void>((resolve) => {
      const listen = (message: Told | 'done'): void => {
        if (message !== 'done') {
          onOutcome(message);
          return;
        }
        worker.off('message', listen);
        resolve();
      };
      worker.on('message', listen);
      worker.send(chunk);
    });
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(worker);
    else next(worker);
  }

  close(): void {
    this.#closing = true;
    for (const worker of this.#workers) worker.disconnect();
  }
}
