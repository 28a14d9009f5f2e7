import type { Variable } from '../model/dashboard.js';

/** The deployment: all that one scrape job reads. */
export const JOB: Variable = { name: 'job', label: 'Deployment', metric: 'token_broker_build_info', isMany: false };

export const SOURCES: Variable = {
  name: 'source',
  label: 'Sources',
  metric: 'token_broker_upstream_calls_open',
  isMany: true,
};

export const ONE_SOURCE: Variable = { ...SOURCES, label: 'Source', isMany: false };
