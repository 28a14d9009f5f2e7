import type { Change, Invalidation } from '@token-broker/protocol';
import type { Memory } from './memory.js';
import type { InvalidationTarget, LogEntry } from '../ports/store.js';
import type { Sources } from '../sources/sources.js';

/** The store's words for an invalidation, in the words of the wire. */
export function changeOf(partition: number, epoch: number, entry: LogEntry, sources: Sources): Change {
  const { vseq, floor, target } = entry;
  const base = { partition, epoch, vseq, floor };
  switch (target.kind) {
    case 'slot':
      return { ...base, slot: target.slot };
    case 'source':
      return { ...base, sources: [target.source] };
    case 'provider': {
      const named = [...sources.current.sources.values()].filter(
        ({ configuration }) => (configuration.provider as string) === target.provider,
      );
      return { ...base, sources: named.map(({ configuration }) => configuration.name) };
    }
    case 'all':
      return base;
  }
}

/** Applies what a broker has broadcast; afterwards nothing of it is answered from here. */
export function applyInvalidation(memory: Memory, message: Invalidation): void {
  for (const change of message.changes) {
    if (change.partition >= memory.views.length) continue;
    const { vseq, floor } = change;
    memory.apply(change.partition, change.epoch, { vseq, floor, target: targetOf(change) });
  }
}

function targetOf(change: Change): InvalidationTarget {
  if (change.slot !== undefined) return { kind: 'slot', slot: change.slot };
  const [only, ...others] = change.sources ?? [];
  // Several sources share one number in the sequence: everything at or below the floor is the safe reading.
  return only === undefined || others.length > 0 ? { kind: 'all' } : { kind: 'source', source: only };
}
