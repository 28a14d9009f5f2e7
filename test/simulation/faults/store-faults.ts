import type { Aim, FaultKind } from './fault-kind.js';

/** Commands whose reply is lost, one of which is drawn. */
const LOST = ['commit', 'reserve', 'revoke', 'confirm', 'lease', 'fail', 'reject', 'read', '*'] as const;

function linkOf({ world, broker }: Aim): ReturnType<Aim['world']['redis']['linkOf']> {
  return world.redis.linkOf(broker.process);
}

/** What happens to Redis, and to the brokers' links to it. */
export const STORE_FAULTS: readonly FaultKind[] = [
  {
    name: 'redis-away',
    group: 'store',
    spoils: 'everything',
    begin: ({ world }) => {
      world.redis.away = true;
      return () => {
        world.redis.away = false;
      };
    },
  },
  {
    name: 'redis-paused',
    group: 'store',
    spoils: 'everything',
    begin: ({ world }) => {
      world.redis.pause();
      return () => {
        world.redis.goOn();
      };
    },
  },
  {
    name: 'redis-restart',
    group: 'store',
    spoils: 'everything',
    begin: ({ world }) => {
      world.redis.redis.promote();
      world.observer.replaced('restart');
      return undefined;
    },
  },
  {
    name: 'redis-failover-that-loses-writes',
    group: 'store',
    spoils: 'everything',
    needs: ({ isReplicated, idpCaches }) => isReplicated && !idpCaches,
    begin: ({ world }) => {
      world.redis.fallBehind();
      return () => {
        world.redis.failOver();
        world.observer.replaced('failover');
      };
    },
  },
  {
    name: 'redis-replica-behind',
    group: 'store',
    spoils: 'nothing',
    needs: ({ isReplicated }) => isReplicated,
    begin: ({ world }) => {
      world.redis.fallBehind();
      return () => {
        world.redis.catchUp();
      };
    },
  },
  {
    name: 'redis-flushed',
    group: 'store',
    spoils: 'everything',
    // The memory of what was revoked is flushed too: a provider that gives a revoked token again is not found out then.
    needs: ({ idpCaches }) => !idpCaches,
    begin: ({ world }) => {
      world.redis.redis.flush();
      world.observer.replaced('flush');
      return undefined;
    },
  },
  {
    name: 'redis-read-only',
    group: 'store',
    spoils: 'everything',
    begin: ({ world }) => {
      world.redis.readOnly = true;
      return () => {
        world.redis.readOnly = false;
      };
    },
  },
  {
    name: 'redis-out-of-memory',
    group: 'store',
    spoils: 'everything',
    begin: ({ world }) => {
      world.redis.outOfMemory = true;
      return () => {
        world.redis.outOfMemory = false;
      };
    },
  },
  {
    name: 'redis-reply-lost',
    group: 'store',
    spoils: 'everything',
    begin: (aim) => {
      const { lost } = linkOf(aim);
      const command = LOST[aim.target % LOST.length] ?? '*';
      lost.set(command, 1 + Math.floor(3 * aim.size ** 2));
      return () => {
        lost.delete(command);
      };
    },
  },
  {
    name: 'redis-link-dead',
    group: 'store',
    spoils: 'everything',
    begin: (aim) => {
      const link = linkOf(aim);
      link.blocked = true;
      return () => {
        link.blocked = false;
      };
    },
  },
  {
    name: 'redis-link-slow',
    group: 'store',
    spoils: 'everything',
    begin: (aim) => {
      const link = linkOf(aim);
      link.delayMs = 1_200 * aim.size;
      return () => {
        link.delayMs = 0;
      };
    },
  },
];
