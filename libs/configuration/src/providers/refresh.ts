import { ok, parseDuration } from '@token-broker/foundation';
import { flag, withDefault } from '../scalars.js';
import { refuse, setting, settings, wrongKind } from '../settings.js';
import type { RefreshConfiguration } from '../configuration.js';

const ahead = setting(
  {
    type: 'string',
    pattern: '^(off|[0-9]+(\\.[0-9]+)?%|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+)$|\\$\\{',
    description: 'Renew with this much of the life left: a share ("20%"), a duration ("30s"), or off.',
  },
  (input) => {
    if (typeof input !== 'string') return refuse(wrongKind('"20%", "30s" or off', input));
    const parsed = parseAhead(input);
    return typeof parsed === 'string' ? refuse(parsed) : ok(Object.freeze(parsed));
  },
);

function parseAhead(written: string): RefreshConfiguration['ahead'] | string {
  if (written === 'off') return { kind: 'off' };
  const [, percent] = /^(-?\d+(?:\.\d+)?)%$/.exec(written) ?? [];
  if (percent !== undefined) {
    const fraction = Number(percent) / 100;
    if (fraction >= 1) return 'the margin is not below the life: a share under 100%';
    return fraction > 0 ? { kind: 'fraction', fraction } : 'expected a share above 0%, or off';
  }
  const ms = parseDuration(written);
  if (!ms.ok) return ms.error;
  return ms.value > 0 ? { kind: 'ms', ms: ms.value } : 'expected a duration above zero, or off';
}

export const refreshSchema = settings('Renewal before expiry.', {
  ahead: ahead.prefault('20%'),
  keepWarm: withDefault(flag('Refreshed whether or not anybody asks, and fetched at start.'), false),
});
