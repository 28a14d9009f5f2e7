import { describe, expect, it } from 'vitest';
import { parseMetrics, sumOf } from './broker-metrics.js';

const PAGE = `# HELP x_total Things.
# TYPE x_total counter
x_total{source="a",layer="memory"} 3
x_total{source="a",layer="redis"} 4
x_total{source="b",layer="memory"} 5
up 1
x_seconds_bucket{le="+Inf"} 1e+3
`;

describe('the samples of a metrics page', () => {
  const samples = parseMetrics(PAGE);

  it('are all read, with and without labels, and comments are not', () => {
    expect(samples).toHaveLength(5);
    expect(samples).toContainEqual({ name: 'up', labels: {}, value: 1 });
    expect(samples).toContainEqual({ name: 'x_seconds_bucket', labels: { le: '+Inf' }, value: 1_000 });
  });

  it('are added up where their labels match', () => {
    expect(sumOf(samples, 'x_total')).toBe(12);
    expect(sumOf(samples, 'x_total', { source: 'a' })).toBe(7);
    expect(sumOf(samples, 'x_total', { source: 'a', layer: 'redis' })).toBe(4);
    expect(sumOf(samples, 'x_total', { source: 'c' })).toBe(0);
  });
});
