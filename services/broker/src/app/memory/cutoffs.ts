import type { InvalidationTarget, LogEntry, SlotAddress } from '../ports/store.js';

/** What a cutoff is asked about. */
export interface Dated {
  readonly address: Pick<SlotAddress, 'source' | 'provider'>;
  readonly epoch: number;
  readonly generation: number;
  /** The sequence of invalidations that the answer had seen which brought it. */
  readonly asOfVseq: number;
}

/** What is of this generation or below has ended; `vseq`: the invalidation's number in the sequence. */
type Cutoff = Pick<LogEntry, 'floor' | 'vseq'>;

/**
 * The invalidations of one partition that end many tokens at once. A token that is held is judged when it is asked for, so
 * that an invalidation takes the same moment whether it ends one or a million.
 */
export class Cutoffs {
  #epoch = 0;
  #version = 0;
  #ofAll: Cutoff | undefined;
  readonly #bySource = new Map<string, Cutoff>();
  readonly #byProvider = new Map<string, Cutoff>();
  /** The version as of which whatever was held of a source has ended. */
  readonly #droppedBy = new Map<string, number>();

  /** Another one says that what was judged before is to be judged again. */
  get version(): number {
    return this.#version;
  }

  /** Whatever is of another epoch has ended. */
  begin(epoch: number): void {
    this.#epoch = epoch;
    this.#ofAll = undefined;
    this.#bySource.clear();
    this.#byProvider.clear();
    this.#droppedBy.clear();
    this.#version++;
  }

  /** Ends what is held of a source by now, whatever its generation. */
  drop(source: string): void {
    this.#version++;
    this.#droppedBy.set(source, this.#version);
  }

  /** Ends what is at or below its floor, unless the answer that brought it was of after the invalidation. */
  note(target: Exclude<InvalidationTarget, { kind: 'slot' }>, cutoff: Cutoff): void {
    switch (target.kind) {
      case 'all':
        this.#ofAll = later(this.#ofAll, cutoff);
        break;
      case 'source':
        this.#bySource.set(target.source, later(this.#bySource.get(target.source), cutoff));
        break;
      case 'provider':
        this.#byProvider.set(target.provider, later(this.#byProvider.get(target.provider), cutoff));
    }
    this.#version++;
  }

  /** Whether one of them ends this; `judgedBy`: the version by which it was good. */
  end(held: Dated, judgedBy: number): boolean {
    return (
      judgedBy < (this.#droppedBy.get(held.address.source) ?? 0) ||
      held.epoch !== this.#epoch ||
      isBelow(held, this.#ofAll) ||
      isBelow(held, this.#bySource.get(held.address.source)) ||
      isBelow(held, this.#byProvider.get(held.address.provider))
    );
  }
}

function isBelow({ generation, asOfVseq }: Dated, cutoff: Cutoff | undefined): boolean {
  return cutoff !== undefined && generation <= cutoff.floor && asOfVseq < cutoff.vseq;
}

/** Of two for the same target: what either of them ends. */
function later(before: Cutoff | undefined, { floor, vseq }: Cutoff): Cutoff {
  return { floor: Math.max(floor, before?.floor ?? 0), vseq: Math.max(vseq, before?.vseq ?? 0) };
}
