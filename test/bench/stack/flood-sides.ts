import { createSubjects } from '@token-broker/protocol';
import type { BenchContext } from '../harness/benchmark.js';
import type { Worker } from '../harness/worker.js';
import type { BareResponderMethods } from '../programs/bare-responder.js';
import type { FloodMethods } from '../programs/flood.js';
import { BARE_CALLER, BARE_SUBJECTS, CALLER, SOURCE } from './settings.js';
import type { Stack } from './stack.js';

const WARM_UP_IN_FLIGHT = 64;

export interface FloodSides {
  readonly generator: Worker<FloodMethods>;
  readonly responder: Worker<BareResponderMethods>;
  readonly replyBytes: number;
}

/**
 * A load generator with a way to the broker and one to a bare responder, which answers with the very bytes that the broker
 * answers with. The token is in the broker's memory.
 */
export async function openFloodSides({ effort, progress }: BenchContext, stack: Stack): Promise<FloodSides> {
  const { nats } = stack;
  const subject = createSubjects().get(CALLER, SOURCE);
  const connection = await stack.connectAs(CALLER);
  await connection.request(subject, new Uint8Array(), { timeout: 10_000 });
  const { data: reply } = await connection.request(subject, new Uint8Array(), { timeout: 10_000 });

  const responder = await stack.worker<BareResponderMethods>('bare-responder');
  const bareSubject = `${BARE_SUBJECTS}.get.${BARE_CALLER}.${SOURCE}`;
  await responder.call('serve', { url: nats.url, subject: `${BARE_SUBJECTS}.get.*.*`, reply });
  const generator = await stack.worker<FloodMethods>('flood');
  await generator.call('open', { side: 'ours', url: nats.url, user: CALLER, subject });
  await generator.call('open', { side: 'baseline', url: nats.url, user: BARE_CALLER, subject: bareSubject });
  // What answers one request after the other is measured as it is in a service that has run for a while.
  progress('warming up');
  const forMs = effort.choose(3_000, 400);
  for (const side of ['ours', 'baseline']) await generator.call('flood', { side, inFlight: WARM_UP_IN_FLIGHT, forMs });
  return { generator, responder, replyBytes: reply.length };
}
