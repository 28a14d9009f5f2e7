import { fork } from 'node:child_process';
import { once } from 'node:events';

/** What a program of a benchmark can be asked for: each method takes one argument, or none. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a bound for types, where arguments are contravariant
export type Methods = Readonly<Record<string, (argument: any) => unknown>>;

/** A program of a benchmark in a process of its own. */
export interface Worker<M extends Methods> {
  readonly pid: number;
  /** @throws {Error} what the method threw, or that the process has ended */
  call<Name extends keyof M & string>(
    name: Name,
    ...argument: Parameters<M[Name]>
  ): Promise<Awaited<ReturnType<M[Name]>>>;
  stop(): Promise<void>;
}

export interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

export type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });

/**
 * Starts a program. It ends with this process at the latest.
 *
 * @param program the name of one of `programs/`, or where it is
 * @param nodeArgs options of Node itself
 */
export async function startWorker<M extends Methods>(
  program: string | URL,
  nodeArgs: readonly string[] = [],
): Promise<Worker<M>> {
  const path = typeof program === 'string' ? new URL(`../programs/${program}.js`, import.meta.url) : program;
  const name = path.pathname.slice(path.pathname.lastIndexOf('/') + 1);
  const child = fork(path, {
    execArgv: [...nodeArgs],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  child.on('message', (message) => {
    const answer = message as Answer;
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) call?.reject(new Error(`${name}: ${answer.error}`));
    else call?.resolve(answer.value);
  });
  const exited = once(child, 'exit').then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${name} has ended`));
  });
  await once(child, 'spawn');
  return {
    pid: child.pid ?? Number.NaN,
    call(name, ...[argument]) {
      return new Promise((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ id, method: name, argument } satisfies Call, (error) => {
          if (error !== null) reject(error);
        });
      });
    },
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
