import { readFile } from 'node:fs/promises';
import { createSystemClock } from '@token-broker/foundation';
import { startSecurityTokenService } from '@token-broker/testing/aws';
import { ask } from '../../integration/asking.js';
import { metricValue, startStack } from '../../integration/stack.js';
import { startBrokerProcess } from '../broker-process.js';
import { KINDS, sourceOfKind, type Kind } from './source-of-kind.js';

/** What one start of a broker with one source took. */
export interface Start {
  /** From the start of the process until it is ready, in ms. */
  readonly readyMs: number;
  /** From the first request to the credential, in ms; the code of the provider is being loaded since the start. */
  readonly firstMs: number;
  /** Time of the processor until then, in ms: it grows little with what else the machine does. */
  readonly cpuMs: number;
  /** Memory of the process (resident set), in MB. */
  readonly memoryMb: number;
}

/** Starts a broker with a source of each kind, in turn, so that what disturbs the machine disturbs all kinds. */
export async function measureLoading(rounds: number, progress: (text: string) => void): Promise<Map<Kind, Start[]>> {
  const clock = createSystemClock();
  const sts = await startSecurityTokenService();
  const stack = await startStack({ brokers: 0 });
  const starts = new Map<Kind, Start[]>(KINDS.map((kind) => [kind, []]));
  try {
    const orders = await stack.connectAs('orders');
    for (let round = 1; round <= rounds; round++) {
      for (const kind of KINDS) {
        progress(`round ${String(round)} of ${String(rounds)}: ${kind}`);
        const source = `${kind}-${String(round)}`;
        await stack.rewrite((settings) => ({
          ...settings,
          sources: { [source]: sourceOfKind(kind, stack.idp, sts) },
          callers: { orders: { sources: '*' } },
        }));
        const startedAtMs = clock.elapsedMs();
        const { program, url } = await startBrokerProcess(stack.configurationPath);
        const readyAtMs = clock.elapsedMs();
        await ask(orders, 'orders', source);
        const firstAtMs = clock.elapsedMs();
        const cpuMs = await processorTimeMs(program.pid);
        const metrics = await (await fetch(`${url}/metrics`)).text();
        await program.stop();
        starts.get(kind)?.push({
          readyMs: readyAtMs - startedAtMs,
          firstMs: firstAtMs - readyAtMs,
          cpuMs,
          memoryMb: metricValue(metrics, 'process_resident_memory_bytes') / 1_000_000,
        });
      }
    }
  } finally {
    await stack.stop();
    await sts.stop();
  }
  return starts;
}

/** Linux counts in hundredths of a second, in user mode and in the kernel (proc(5)). */
async function processorTimeMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return 10 * (Number(user) + Number(system));
}
