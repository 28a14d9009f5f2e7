/** Stands for every value beyond the cap. */
const OTHER = 'other';

/** Keeps the values of a label few, so that what somebody makes up does not become a time series each. */
export interface LabelCap {
  /**
   * The value itself if it is known or there is room for it, else {@link OTHER}. A value that may be made up is given
   * as `trusted: false` and takes no room.
   */
  of(value: string, trusted?: boolean): string;
}

export function createLabelCap(maxValues: number): LabelCap {
  const known = new Set<string>();
  return {
    of(value, trusted = true) {
      if (known.has(value)) return value;
      if (!trusted || known.size >= maxValues) return OTHER;
      known.add(value);
      return value;
    },
  };
}
