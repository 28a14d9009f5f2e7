import type { CountPage, CountRequest, PauseOutcome, ScannedSlot, ScanPage } from '../../app/ports/store.js';
import type { Keys } from './keys.js';
import type { PartitionScripts } from './partition-scripts.js';
import { bytesOf, formatTarget, listOf, numberOf, textOf } from './replies.js';
import type { ReplyValue } from './scripts.js';

/** About how many slots a page has: opening them takes a broker a few milliseconds. */
const PAGE = 100;

export async function scanPage(
  partitions: PartitionScripts,
  keys: Keys,
  partition: number,
  cursor: string | undefined,
  withSealed: boolean,
): Promise<ScanPage> {
  const prefixes = (['record', 'floor', 'flight'] as const).map((kind) => keys.prefix(partition, kind));
  const { slots } = keys.partition(partition);
  const args = [cursor ?? '0', PAGE, ...prefixes, withSealed ? '1' : ''];
  const reply = await partitions.run('scan', partition, [slots], args);
  const next = reply.text(0);
  return { asOf: reply.asOf, slots: reply.list(1).map(slotOf), next: next === '0' ? undefined : next };
}

/** How many slots are looked at in one go: a few milliseconds of Redis, in which it does nothing else. */
const COUNTED_AT_ONCE = 500;

export async function countPage(
  partitions: PartitionScripts,
  keys: Keys,
  { target, partition, above, upTo }: CountRequest,
  cursor: string | undefined,
): Promise<CountPage> {
  const prefixes = (['record', 'floor'] as const).map((kind) => keys.prefix(partition, kind));
  const { slots } = keys.partition(partition);
  const args = [...prefixes, formatTarget(target), above ?? '', upTo ?? '', cursor ?? '', COUNTED_AT_ONCE];
  const reply = await partitions.run('count', partition, [slots], args);
  const next = reply.text(0);
  const rows = reply.list(1).map((row) => listOf(row).map(textOf));
  const bySource = new Map(rows.map(([source = '', many = '']) => [source, numberOf(many)]));
  return { bySource, next: next === '' ? undefined : next };
}

/** Every partition keeps the note, so that each claim sees it. */
export async function pauseSource(
  partitions: PartitionScripts,
  source: string,
  paused: boolean,
): Promise<PauseOutcome> {
  const replies = await Promise.all(
    partitions.partitions.map((partition) => partitions.run('pause', partition, [], [source, paused ? '1' : ''])),
  );
  // Partitions may differ where a command before this one was lost on its way to some of them.
  const sinceMs = replies.map((reply) => reply.number(0)).filter((ms) => ms > 0);
  return {
    changed: replies.some(({ tag }) => tag === 'changed'),
    sinceMs: sinceMs.length === 0 ? undefined : Math.min(...sinceMs),
  };
}

function slotOf(row: ReplyValue): ScannedSlot {
  const cells = listOf(row);
  const [slot = '', source = '', provider = '', recipe = '', generation = '', expiresAtMs = ''] = cells.map(textOf);
  const [flightSource, flightGeneration] = [textOf(cells[7]), textOf(cells[8])];
  const sealed = bytesOf(cells[6]);
  return {
    slot,
    ...(source === ''
      ? {}
      : {
          record: {
            ...{ source, provider, recipe, sealed },
            generation: numberOf(generation),
            expiresAtMs: numberOf(expiresAtMs),
          },
        }),
    ...(flightGeneration === '' ? {} : { flight: { source: flightSource, generation: numberOf(flightGeneration) } }),
  };
}
