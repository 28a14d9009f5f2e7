import type { FaultKind } from './fault-kind.js';

/**
 * Faults that come together, in the one order that is dangerous: chance alone would need very many seeds for them. Each is
 * the story of a rule of the protocol.
 */
export const STORIES: readonly FaultKind[] = [
  {
    // A broker that holds a lease of the epoch before has not heard of the new one, in which a revocation waits for nobody.
    name: 'revocation-after-an-unheard-restart',
    group: 'store',
    spoils: 'everything',
    begin: ({ world, broker }) => {
      const link = world.redis.linkOf(broker.process);
      const { events } = broker;
      link.blocked = true;
      events.toClient.blocked = true;
      world.redis.redis.promote();
      world.observer.replaced('restart');
      void world.operator.revoke({ all: true }, false);
      return () => {
        link.blocked = false;
        events.toClient.blocked = false;
      };
    },
  },
  {
    // The revocation was written, and the replica that has not heard of it is promoted before it is reported.
    name: 'revocation-lost-by-a-failover',
    group: 'store',
    spoils: 'everything',
    leastMs: 1_000,
    needs: ({ isReplicated, idpCaches }) => isReplicated && !idpCaches,
    begin: ({ world, size }) => {
      const { natsLatencyMs, redisLatencyMs } = world.shape;
      world.redis.fallBehind();
      void world.operator.revoke({ all: true }, false);
      // It is written after some four trips to Redis, and reported some six later; or a lease later, where a broker is away.
      const writtenMs = 2 * natsLatencyMs + 4 * redisLatencyMs;
      const lost = world.loop.after(writtenMs + size * (6 * natsLatencyMs + 6 * redisLatencyMs), () => {
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
    // A broker is asked, and hears nothing: neither what is revoked, nor Redis, whose last answer came late already.
    name: 'revocation-behind-a-deaf-broker',
    group: 'store',
    spoils: 'everything',
    leastMs: 8_000,
    begin: ({ world, broker, size }) => {
      const link = world.redis.linkOf(broker.process);
      const { events } = broker;
      link.replyDelayMs = 400 + 450 * size;
      let isOver = false;
      const deafen = (): void => {
        if (isOver) return;
        link.blocked = true;
        events.toClient.blocked = true;
        void world.operator.revoke({ all: true }, false);
      };
      world.loop.after(2_500, () => {
        // Its last lease has just been written, in every partition, and the answer is on its way.
        world.once('redis:lease:after', broker.process, () => world.loop.after(2 * world.shape.redisLatencyMs, deafen));
      });
      return () => {
        isOver = true;
        link.blocked = false;
        link.replyDelayMs = 0;
        events.toClient.blocked = false;
      };
    },
  },
  {
    // Heartbeats of before the revocation arrive late, and nothing after them.
    name: 'revocation-behind-late-heartbeats',
    group: 'links',
    spoils: 'one-client',
    leastMs: 16_000,
    begin: ({ world, client, size }) => {
      const { toClient } = client.connection;
      toClient.delayMs = 1_500 + 1_500 * size;
      const silenced = world.loop.after(4_000, () => {
        void world.operator.revoke({ all: true }, false);
        // What is on its way still arrives; the word of the revocation does not.
        toClient.loss = 1;
      });
      return () => {
        silenced.cancel();
        toClient.delayMs = 0;
        toClient.loss = 0;
      };
    },
  },
  {
    // Redis takes no writes, and a revocation is ordered.
    name: 'revocation-that-redis-refuses',
    group: 'store',
    spoils: 'everything',
    leastMs: 3_000,
    begin: ({ world, size }) => {
      world.redis.readOnly = true;
      const ordered = world.loop.after(500 * size, () => {
        void world.operator.revoke({ all: true }, false);
      });
      return () => {
        ordered.cancel();
        world.redis.readOnly = false;
      };
    },
  },
];
