import { formatDuration } from '@token-broker/foundation';
import type { ReplicaStatus, StatusReply } from '@token-broker/protocol';
import { callForOperator } from '../output/source-pages.js';
import { problem, warning, type Finding } from './finding.js';

/** Clocks that are further apart make assertions and subject tokens fail, which carry times. */
const SKEW_WARNING_MS = 2_000;
const SKEW_PROBLEM_MS = 30_000;
/** A source that nobody has asked for since all brokers started counts as unused when that is so long ago. */
const UNUSED_AFTER_MS = 3_600_000;
const NEARLY_USED_UP = 0.9;

/** What brokers tell of themselves and of Redis. */
export function brokerFindings({ replicas = [], silent = [], redis }: StatusReply): Finding[] {
  const differ = (of: (replica: ReplicaStatus) => unknown): boolean => new Set(replicas.map(of)).size > 1;
  return [
    ...silent.map((broker) =>
      problem(
        `${broker} has a lease and does not answer`,
        'It may hang, or its NATS connection be away; a revocation waits for it.',
        'Look at its log and its /readyz.',
      ),
    ),
    ...replicas
      .filter(({ ready }) => !ready)
      .map(({ broker, problems }) =>
        problem(`${broker} is not ready: ${problems.join('; ')}`, 'It serves nobody.', 'Look at its log.'),
      ),
    ...(replicas.length + silent.length === 1
      ? [warning('there is one broker only', 'While it restarts nobody gets a new token.', 'Run two or three.')]
      : []),
    ...(differ(({ version }) => version)
      ? [
          warning(
            'brokers are of different versions',
            'That is well during an upgrade, and not for long.',
            'End the upgrade.',
          ),
        ]
      : []),
    ...(differ(({ policy }) => policy)
      ? [
          warning(
            'brokers run different configurations',
            'They answer differently.',
            'Give all the same file, and `tokenctl reload`.',
          ),
        ]
      : []),
    ...(differ(({ epochs }) => String(epochs))
      ? [
          problem(
            'brokers have read different epochs',
            'They see different data sets of Redis.',
            'Ask again; where it lasts, check that all have the same Redis address.',
          ),
        ]
      : []),
    ...replicas.flatMap(clockFindings),
    ...(redis.problems ?? []).map((text) =>
      problem(
        text,
        'A broker that restarts now refuses to serve.',
        'Change it in Redis, and in its configuration file.',
      ),
    ),
  ];
}

function clockFindings({ broker, clockAheadMs }: ReplicaStatus): Finding[] {
  if (clockAheadMs === null || Math.abs(clockAheadMs) < SKEW_WARNING_MS) return [];
  const what = `the clock of ${broker} is ${formatDuration(Math.abs(clockAheadMs))} ${clockAheadMs > 0 ? 'ahead of' : 'behind'} that of Redis`;
  const why =
    'Lifetimes do not depend on it, but signed assertions and the check of subject tokens carry times: they are refused.';
  const found = Math.abs(clockAheadMs) < SKEW_PROBLEM_MS ? warning : problem;
  return [found(what, why, 'Have both machines take their time from the same place (NTP).')];
}

/** What brokers tell of sources. */
export function sourceFindings({ sources, replicas = [] }: StatusReply): Finding[] {
  const countedForMs = Math.min(...replicas.map(({ uptimeMs }) => uptimeMs));
  return sources.flatMap(({ name, refreshToken, budget, all }) => {
    const call = refreshToken === undefined ? undefined : callForOperator(refreshToken);
    const isUnused = all?.requests === 0 && all.held === 0 && countedForMs >= UNUSED_AFTER_MS;
    return [
      ...(call === undefined
        ? []
        : [
            problem(
              `${name}: ${call}`,
              'Callers get REAUTH_REQUIRED.',
              `Authorise it again, then \`tokenctl refresh-token set ${name}\`.`,
            ),
          ]),
      ...(budget === undefined ? [] : budgetFindings(name, budget)),
      ...(isUnused
        ? [
            warning(
              `${name} was not asked for since the brokers started, ${formatDuration(countedForMs)} ago`,
              'A client at an identity provider that nobody uses is one more secret to leak.',
              'Remove it, here and there, if nobody needs it.',
            ),
          ]
        : []),
    ];
  });
}

function budgetFindings(name: string, budget: NonNullable<StatusReply['sources'][number]['budget']>): Finding[] {
  const { breaker, pausedMs, credentialPausedMs, limits } = budget;
  const fullest = Math.max(0, ...limits.map(({ used, limit, reserve }) => used / Math.max(1, limit - reserve)));
  return [
    ...(breaker === 'closed'
      ? []
      : [
          problem(
            `${name}: its identity provider fails or cannot be reached`,
            'No new tokens come; those that are held run out.',
            `\`tokenctl describe ${name}\` and the brokers’ log say why.`,
          ),
        ]),
    ...(credentialPausedMs > 0
      ? [
          problem(
            `${name}: its identity provider refuses the client`,
            'No new tokens come.',
            'Check client id, secret and what the client may do there; a new secret takes effect with a reload.',
          ),
        ]
      : []),
    ...(pausedMs > 0
      ? [
          warning(
            `${name}: its identity provider wants no calls for ${formatDuration(pausedMs)}`,
            'Callers without a token wait or are refused.',
            `\`tokenctl quota ${name}\`; a configured \`quota\` keeps below the limit.`,
          ),
        ]
      : []),
    ...(fullest >= NEARLY_USED_UP
      ? [
          warning(
            `${name}: its quota is ${String(Math.round(100 * fullest))} % used`,
            'When it is used up, callers get QUOTA_EXHAUSTED.',
            `\`tokenctl quota ${name}\` says by what; have it raised, or ask for fewer kinds of tokens.`,
          ),
        ]
      : []),
  ];
}
