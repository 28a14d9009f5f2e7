import { parseDuration } from '@token-broker/foundation';
import { usageFailure } from './command-failure.js';

const DEFAULT_TTL_MS = 5 * 60_000;

/**
 * How long tokens are kept on disk: `TOKENCTL_CACHE_TTL`, in ms. 0: not at all.
 *
 * @throws {CommandFailure} for what is no duration
 */
export function cacheTtlMs(env: Readonly<Record<string, string | undefined>>): number {
  const text = env['TOKENCTL_CACHE_TTL'] ?? '';
  if (text === '') return DEFAULT_TTL_MS;
  if (text === '0') return 0;
  const parsed = parseDuration(text);
  if (parsed.ok) return parsed.value;
  throw usageFailure(`TOKENCTL_CACHE_TTL: ${parsed.error}`, 'Write it as 5m; 0 keeps nothing.');
}
