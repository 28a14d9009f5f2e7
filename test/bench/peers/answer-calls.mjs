/** The same conversation as that of `harness/serve-methods.ts`, for programs that know no package of this repository. */

/** @param {Record<string, (argument: any) => unknown>} methods */
export function answerCalls(methods) {
  process.on('message', async (/** @type {any} */ { id, method, argument }) => {
    try {
      process.send?.({ id, value: await methods[method]?.(argument) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  process.on('disconnect', () => process.exit(0));
}
