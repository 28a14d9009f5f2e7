/** What a curve or a number of a panel is: a PromQL query, in which Grafana replaces `$job` and its other variables. */
export interface Query {
  readonly expr: string;
  /** Name of each series, with labels as `{{source}}`. */
  readonly legend: string;
}

/** Units by their names in Grafana. */
export type Unit = 'short' | 'none' | 's' | 'dtdurations' | 'bytes' | 'percentunit' | 'reqps';

/** How a panel draws what its queries give. */
export type Drawing =
  /** Curves over time. */
  | 'lines'
  /** Curves over time, on top of each other. */
  | 'stacked'
  /** The last value of each query, large. */
  | 'number'
  /** The last value of each series, as a bar. */
  | 'bars'
  /** A row for each series: its labels, and its last value. */
  | 'table';

export interface Panel {
  readonly title: string;
  /** What the reader learns, and what is usual. */
  readonly description: string;
  readonly draws: Drawing;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /**
   * Whether what it shows is a fault. Such a panel has no data while nothing is wrong, and says so; a row of zeros would
   * teach people to look away.
   */
  readonly isFault: boolean;
  /** Upper end of the scale, where it is known. */
  readonly max?: number;
}

/** A heading, and the panels below it. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** A choice at the top of a dashboard, filled from the values of a label. */
export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly metric: string;
  /** Whether all values may be chosen at once. */
  readonly isMany: boolean;
}

export interface Dashboard {
  /** Part of its address in Grafana, and the name of its file. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

export function panelsOf(dashboard: Dashboard): readonly Panel[] {
  return dashboard.rows.flatMap(({ panels }) => panels);
}

type Details = Partial<Pick<Panel, 'max'>>;
type Queries = Query | readonly Query[];

const listed = (queries: Queries): readonly Query[] => ('expr' in queries ? [queries] : queries);

/** A query with the name of its series. */
export function query(legend: string, expr: string): Query {
  return { expr, legend };
}

/** A panel of what always is, or comes with the traffic. */
export function panel(
  draws: Drawing,
  unit: Unit,
  title: string,
  description: string,
  queries: Queries,
  details: Details = {},
): Panel {
  return { title, description, draws, unit, queries: listed(queries), isFault: false, ...details };
}

/** A panel that has data only while, or since, something was wrong. */
export function faultPanel(...of: Parameters<typeof panel>): Panel {
  return { ...panel(...of), isFault: true };
}
