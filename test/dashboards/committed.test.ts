import { readFile, readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dashboards } from './definitions/all.js';
import { DASHBOARD_DIRECTORY, fileOf, readRules } from './files.js';
import { panelsOf } from './model/dashboard.js';
import { grafanaJson } from './model/grafana-json.js';

const operations = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const rules = await readRules();
const alerts = rules.filter(({ alert }) => alert !== undefined);
const panels = dashboards.flatMap((dashboard) =>
  panelsOf(dashboard).map((panel) => ({ ...panel, dashboard: dashboard.uid })),
);
const expressions = [
  ...panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)),
  ...rules.map(({ expr }) => expr),
];

/** Names that a table of the guide has in its first column. */
function namesInTables(): Set<string> {
  const cells = operations.split('\n').map((line) => (line.startsWith('| `') ? (line.split('|')[1] ?? '') : ''));
  return new Set(
    cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+)(?:\{[^`]*\})?`/g)].map(([, name = '']) => name)),
  );
}

/** The heading's address, as readers of Markdown make it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

describe('the committed dashboards', () => {
  it.each(dashboards)('$uid is what the code gives; `npm run dashboards` writes it', async (dashboard) => {
    expect(await readFile(fileOf(dashboard), 'utf8')).toBe(grafanaJson(dashboard));
  });

  it('are all of the code', async () => {
    expect((await readdir(DASHBOARD_DIRECTORY)).sort()).toEqual(
      dashboards.map((each) => basename(fileOf(each))).sort(),
    );
  });

  it('have panels with titles of their own, a description, and a query', () => {
    for (const dashboard of dashboards) {
      const titles = panelsOf(dashboard).map(({ title }) => title);
      expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
    }
    expect(panels.filter(({ description, queries }) => description === '' || queries.length === 0)).toEqual([]);
  });

  it('place no panel upon another, and none beyond the 24 columns', () => {
    for (const dashboard of dashboards) {
      const { panels: placed } = JSON.parse(grafanaJson(dashboard)) as {
        panels: { gridPos: { x: number; y: number; w: number; h: number } }[];
      };
      const taken = new Set<string>();
      for (const { gridPos } of placed)
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            expect(x).toBeLessThan(24);
            expect(taken.has(`${String(x)} ${String(y)}`)).toBe(false);
            taken.add(`${String(x)} ${String(y)}`);
          }
    }
  });
});

describe('what dashboards and rules ask', () => {
  it('is of metrics that the guide explains', () => {
    const known = namesInTables();
    const unknown = expressions
      .flatMap((expr) => [
        ...expr.matchAll(/(?<![\w:])token_broker_(?:client_)?(\w+?)(?:_(?:bucket|count|sum))?(?![\w:])/g),
      ])
      .map(([, name = '']) => name)
      .filter((name) => !known.has(name) && !known.has(name.replace(/^client_/, '')));
    expect([...new Set(unknown)]).toEqual([]);
  });

  it('never puts a zero where nothing is known', () => {
    expect(expressions.filter((expr) => /\b(vector|scalar)\(/.test(expr))).toEqual([]);
  });

  it('is recorded, where it is asked for by the name of a record; and no record is asked for by nobody', () => {
    const recorded = rules.flatMap(({ record }) => record ?? []);
    const asked = expressions.flatMap((expr) => [...expr.matchAll(/\w+:token_broker_\w+:\w+/g)].map(([name]) => name));
    const unasked = recorded.filter((name) => !asked.includes(name));
    expect(asked.filter((name) => !recorded.includes(name))).toEqual([]);
    expect(unasked).toEqual([]);
  });
});

describe('alerts', () => {
  it.each(alerts)('$alert says how bad it is, what it means, and where its runbook is', ({ labels, annotations }) => {
    expect(['warning', 'critical']).toContain(labels?.['severity']);
    expect(Object.keys(annotations ?? {}).sort()).toEqual(['description', 'runbook_url', 'summary']);
  });

  it('each have a runbook in the guide, and each runbook there has an alert', () => {
    const [, text = ''] = /^## Runbooks\n([^]*?)(?=^## |$(?![^]))/m.exec(operations) ?? [];
    const runbooks = [...text.matchAll(/^### (.*)$/gm)].map(
      ([, heading = '']) => `docs/operations.md#${anchorOf(heading)}`,
    );
    const linked = alerts.map(({ annotations }) => annotations?.['runbook_url'] ?? '');
    expect(runbooks.sort()).toEqual(linked.sort());
    for (const { alert = '' } of alerts) expect(text, alert).toContain(`\`${alert}\``);
  });
});
