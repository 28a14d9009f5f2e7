import type { Dashboard } from '../model/dashboard.js';
import { overview } from './overview.js';
import { quota } from './quota.js';
import { revocation } from './revocation.js';
import { source } from './source.js';

/** Every dashboard that is committed under `deploy/grafana/dashboards`, by its uid. */
export const dashboards: readonly Dashboard[] = [overview, quota, revocation, source];
