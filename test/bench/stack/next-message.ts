import { createSubjects } from '@token-broker/protocol';
import { CALLER } from './settings.js';
import type { Stack } from './stack.js';

/** The bytes of the next message on a subject that callers may listen to, while something causes it. */
export async function nextMessage(
  stack: Stack,
  subject: (subjects: ReturnType<typeof createSubjects>) => string,
  cause: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Uint8Array> {
  const connection = await stack.connectAs(CALLER);
  const heard = new Promise<Uint8Array>((resolve) => {
    connection.subscribe(subject(createSubjects()), {
      callback: (_error, message) => {
        resolve(message.data);
      },
    });
  });
  await connection.flush();
  await cause();
  const data = await heard;
  await connection.close();
  return data;
}
