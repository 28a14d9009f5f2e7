import type { Answer, Call, Methods } from './worker.js';

/** Makes this process a worker: it answers calls until the process that started it lets go, and then ends. */
export function serveMethods(methods: Methods): void {
  const answer = async ({ id, method, argument }: Call): Promise<Answer> => {
    try {
      return { id, value: await methods[method]?.(argument) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on('message', (message) => {
    void answer(message as Call).then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
}
