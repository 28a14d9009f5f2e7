import type { Dashboard, Drawing, Panel, Query, Variable } from './dashboard.js';

/** Grafana migrates older ones by itself; this one is read by Grafana 10 and later. */
const SCHEMA_VERSION = 39;
const COLUMNS = 24;
const ROW_HEIGHT = 1;
const DATA_SOURCE = { type: 'prometheus', uid: '${datasource}' };

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const SIZES: Readonly<Record<Drawing, { readonly width: number; readonly height: number }>> = {
  lines: { width: 8, height: 8 },
  stacked: { width: 8, height: 8 },
  number: { width: 4, height: 4 },
  bars: { width: 8, height: 8 },
  table: { width: 8, height: 8 },
};

const TYPES: Readonly<Record<Drawing, string>> = {
  lines: 'timeseries',
  stacked: 'timeseries',
  number: 'stat',
  bars: 'bargauge',
  table: 'table',
};

/** The text of the file that Grafana reads. The same dashboard gives the same text. */
export function grafanaJson(dashboard: Dashboard): string {
  return `${JSON.stringify(documentOf(dashboard), null, 2)}\n`;
}

function documentOf({ uid, title, description, variables, rows }: Dashboard): Json {
  const panels: Json[] = [];
  let y = 0;
  for (const row of rows) {
    const id = panels.length + 1;
    panels.push({
      id,
      type: 'row',
      title: row.title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += ROW_HEIGHT;
    let x = 0;
    let lineHeight = 0;
    for (const panel of row.panels) {
      const { width, height } = SIZES[panel.draws];
      if (x + width > COLUMNS) {
        x = 0;
        y += lineHeight;
        lineHeight = 0;
      }
      panels.push(panelJson(panel, panels.length + 1, { x, y, w: width, h: height }));
      x += width;
      lineHeight = Math.max(lineHeight, height);
    }
    y += lineHeight;
  }
  return {
    uid,
    title,
    description,
    tags: ['token-broker'],
    schemaVersion: SCHEMA_VERSION,
    editable: false,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    links: [{ type: 'dashboards', title: 'Token Broker', tags: ['token-broker'], asDropdown: true, keepTime: true }],
    templating: { list: [dataSourceVariable, ...variables.map(variableJson)] },
    panels,
  };
}

const dataSourceVariable: Json = {
  name: 'datasource',
  label: 'Data source',
  type: 'datasource',
  query: 'prometheus',
  current: {},
  hide: 0,
};

function variableJson({ name, label, metric, isMany }: Variable): Json {
  const scope = name === 'job' ? '' : '{job="$job"}';
  return {
    name,
    label,
    type: 'query',
    datasource: DATA_SOURCE,
    definition: `label_values(${metric}${scope}, ${name})`,
    query: { query: `label_values(${metric}${scope}, ${name})`, refId: 'values' },
    // With each change of the time range: a source that came later is seen.
    refresh: 2,
    sort: 1,
    multi: isMany,
    includeAll: isMany,
    ...(isMany ? { allValue: '.*', current: { text: ['All'], value: ['$__all'] } } : { current: {} }),
    hide: 0,
  };
}

function panelJson(panel: Panel, id: number, gridPos: Json): Json {
  const { title, description, draws, unit, queries, isFault, max } = panel;
  return {
    id,
    type: TYPES[draws],
    title,
    description,
    datasource: DATA_SOURCE,
    gridPos,
    targets: queries.map((query, index) => targetJson(query, index, draws)),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max === undefined ? {} : { max }),
        ...(isFault ? { noValue: 'none', color: { mode: 'fixed', fixedColor: 'red' } } : {}),
        ...(draws === 'lines' || draws === 'stacked' ? { custom: curves(draws === 'stacked', isFault) } : {}),
      },
      overrides: [],
    },
    options: optionsOf(draws),
    ...(draws === 'table' ? { transformations: [{ id: 'merge', options: {} }, withoutTime] } : {}),
  };
}

const withoutTime: Json = {
  id: 'organize',
  options: { excludeByName: { Time: true }, renameByName: { Value: 'value' } },
};

function curves(isStacked: boolean, isFault: boolean): Json {
  return {
    drawStyle: 'line',
    lineWidth: 1,
    fillOpacity: isStacked ? 30 : 0,
    // A fault that lasted for one look is a point, and a curve through what was not there would be a lie.
    showPoints: isFault ? 'always' : 'auto',
    spanNulls: false,
    stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
  };
}

function targetJson({ expr, legend }: Query, index: number, draws: Drawing): Json {
  const isInstant = draws !== 'lines' && draws !== 'stacked';
  return {
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
    datasource: DATA_SOURCE,
    expr,
    legendFormat: legend,
    instant: isInstant,
    range: !isInstant,
    ...(draws === 'table' ? { format: 'table' } : {}),
  };
}

function optionsOf(draws: Drawing): Json {
  const last = { calcs: ['lastNotNull'], fields: '', values: false };
  switch (draws) {
    case 'lines':
    case 'stacked':
      return {
        legend: { displayMode: 'table', placement: 'bottom', showLegend: true, calcs: ['lastNotNull', 'max'] },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'number':
      return { reduceOptions: last, colorMode: 'value', graphMode: 'none', textMode: 'auto', justifyMode: 'auto' };
    case 'bars':
      return { reduceOptions: last, orientation: 'horizontal', displayMode: 'basic', valueMode: 'text' };
    case 'table':
      return { showHeader: true, cellHeight: 'sm' };
  }
}
