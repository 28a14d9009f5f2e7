import type { Shape } from '../scenario.js';
import { refreshedSources } from '../world/configuration.js';
import type { Aim, FaultKind } from './fault-kind.js';

/** Commands whose reply is lost, one of which is drawn. */
const LOST = ['journalSpend', 'journalSucceed', 'journalRelease', 'journalExhaust', 'journalSeed'] as const;
/** So much of its life no token has left. */
const NEARLY_WHOLE = 0.999;

const hasRefreshTokens = ({ refreshTokens }: Shape): boolean => refreshTokens !== undefined;

function sourceOf({ world, target }: Aim): string {
  const sources = refreshedSources(world.shape);
  return sources[target % sources.length] ?? '';
}

/**
 * What happens to refresh tokens, and around the calls that spend them. Each of those that begin with a revocation makes a
 * call, and strikes it on its way.
 */
export const REFRESH_TOKEN_FAULTS: readonly FaultKind[] = [
  {
    // Redis is away when the provider has answered, and comes back when the time of the call is over.
    name: 'redis-away-when-the-successor-comes',
    group: 'store',
    isLikely: true,
    spoils: 'everything',
    needs: hasRefreshTokens,
    leastMs: 12_000,
    begin: (aim) => {
      const { world, size } = aim;
      const { idpLatencyMs, natsLatencyMs, redisLatencyMs, lockTimeMs } = world.shape;
      void world.operator.revoke({ source: sourceOf(aim) }, false);
      const calledMs = 2 * natsLatencyMs + 12 * redisLatencyMs;
      const lost = world.loop.after(calledMs + size * 2 * idpLatencyMs, () => {
        world.redis.away = true;
      });
      const found = world.loop.after(calledMs + 2 * idpLatencyMs + lockTimeMs * (1 + ((size * 7) % 1)), () => {
        world.redis.away = false;
      });
      return () => {
        lost.cancel();
        found.cancel();
        world.redis.away = false;
      };
    },
  },
  {
    name: 'journal-reply-lost',
    group: 'store',
    spoils: 'everything',
    needs: hasRefreshTokens,
    isLikely: true,
    begin: ({ world, broker, target, size }) => {
      const { lost } = world.redis.linkOf(broker.process);
      const command = LOST[target % LOST.length] ?? 'journalSucceed';
      lost.set(command, 1 + Math.floor(3 * size ** 2));
      return () => {
        lost.delete(command);
      };
    },
  },
  {
    // A replica that has not heard of the successor is promoted: the token that was spent is the current one again.
    name: 'successor-lost-by-a-failover',
    group: 'store',
    isLikely: true,
    spoils: 'everything',
    leastMs: 3_000,
    needs: (shape) => hasRefreshTokens(shape) && shape.isReplicated,
    begin: (aim) => {
      const { world, size } = aim;
      world.redis.fallBehind();
      void world.operator.revoke({ source: sourceOf(aim) }, false);
      const lost = world.loop.after(2_900 * size, () => {
        world.redis.failOver();
        world.observer.replaced('failover');
      });
      return () => {
        lost.cancel();
        world.redis.catchUp();
      };
    },
  },
  {
    // The operator puts another one there while the provider refuses the one that was.
    name: 'seeded-while-it-is-refused',
    group: 'operation',
    // Slots of one source wait for each other, and each call is made twice.
    spoils: 'everything',
    needs: hasRefreshTokens,
    begin: (aim) => {
      const { world, size } = aim;
      const source = sourceOf(aim);
      const { idpLatencyMs, natsLatencyMs, redisLatencyMs } = world.shape;
      world.idp.withdraw(source);
      void world.operator.revoke({ source }, false);
      world.loop.after(2 * natsLatencyMs + 12 * redisLatencyMs + size * idpLatencyMs, () => {
        world.operator.authorise(source);
      });
      return undefined;
    },
  },
  {
    // Consent is withdrawn, and somebody who wants more of its life than a token has finds it out.
    name: 'consent-withdrawn',
    group: 'operation',
    spoils: 'nothing',
    needs: hasRefreshTokens,
    begin: (aim) => {
      const { world, client } = aim;
      const source = sourceOf(aim);
      world.idp.withdraw(source);
      const one = client.handles.find(({ slot }) => slot.source === source);
      if (one !== undefined && client.process.state === 'running')
        void client.ask(one.slot, one.handle, { minTtlMs: NEARLY_WHOLE * world.shape.tokenLifeMs });
      return undefined;
    },
  },
  {
    name: 'refresh-token-replaced',
    group: 'operation',
    spoils: 'nothing',
    needs: hasRefreshTokens,
    begin: (aim) => {
      aim.world.operator.authorise(sourceOf(aim));
      return undefined;
    },
  },
];
