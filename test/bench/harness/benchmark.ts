import type { Spread } from './figures.js';

/** What a ratio, or another figure of a line, has to reach. */
export type Target =
  { readonly atMost: number; readonly of?: TargetFigure } | { readonly atLeast: number; readonly of?: TargetFigure };

/** Default: the ratio of the medians. `more`: the median of ours less that of the baseline. `ours`: our median alone. */
export type TargetFigure = 'ratio' | 'more' | 'ours';

/** What one comparison came to: one line of the report. */
export interface Comparison {
  /** What sets it apart from the other comparisons of its benchmark, such as `64 in flight`. */
  readonly variant?: string;
  readonly ours: readonly number[];
  readonly baseline: readonly number[];
  readonly unit: string;
  readonly target?: Target;
  /** Further figures, by name, as they are to be printed. */
  readonly more?: Readonly<Record<string, number>>;
  /** A word on what the figures do not say. */
  readonly note?: string;
}

/** How long and how often is measured. */
export interface Effort {
  readonly quick: boolean;
  /** Runs of each side that count. */
  readonly runs: number;
  /** Runs of each side before them, in which programs get warm. */
  readonly warmUps: number;
  /** The one for a full measurement, the other for a quick look. */
  readonly choose: <T>(full: T, quick: T) => T;
}

export interface BenchContext {
  readonly effort: Effort;
  /** Tells what is being done, where somebody looks. */
  readonly progress: (text: string) => void;
  /** Where processes write profiles of their processor time, where that is wanted. */
  readonly profileDirectory: string | undefined;
}

export interface Benchmark {
  readonly name: string;
  /** What is measured, and what it is compared with: for the table. */
  readonly ours: string;
  readonly baseline: string;
  readonly run: (context: BenchContext) => Promise<readonly Comparison[]>;
}

/** A comparison that has been judged. */
export interface Line {
  readonly name: string;
  readonly variant: string | undefined;
  /** Median of ours by median of the baseline. */
  readonly ratio: number;
  readonly ours: Spread;
  readonly baseline: Spread;
  readonly unit: string;
  readonly runs: number;
  readonly target: Target | undefined;
  /** `undefined`: there is no target. */
  readonly met: boolean | undefined;
  readonly more: Readonly<Record<string, number>>;
  readonly note: string | undefined;
}

/** What was measured last, of each benchmark: kept beside the table, so that one of them can be measured again. */
export interface Results {
  readonly machine: string;
  readonly lines: readonly Line[];
}
