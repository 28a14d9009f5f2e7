/** How bad it is. A problem makes tokens leak or fail, or will; a warning may be meant so. */
export type Severity = 'problem' | 'warning';

/** Something that an operator should know: what is wrong, why that matters, what to do. */
export interface Finding {
  readonly severity: Severity;
  /** What is wrong, with its place. Holds no secret. */
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/** One thing that was looked at. */
export interface Examination {
  readonly what: string;
  readonly findings: readonly Finding[];
  /** Why it was not looked at. */
  readonly skipped?: string;
}

export function problem(what: string, why: string, remedy: string): Finding {
  return { severity: 'problem', what, why, remedy };
}

export function warning(what: string, why: string, remedy: string): Finding {
  return { severity: 'warning', what, why, remedy };
}
