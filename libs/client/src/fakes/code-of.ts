import { TokenBrokerError } from '@token-broker/protocol';

/** What the work was rejected with. */
export function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'no error',
    (error: unknown) => error,
  );
}

/** The code of the protocol that it was rejected with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await errorOf(work);
  return error instanceof TokenBrokerError ? error.code : String(error);
}
