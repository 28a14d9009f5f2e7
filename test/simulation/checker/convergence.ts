import type { ClientHost } from '../world/client-host.js';
import type { World } from '../world/world.js';

/**
 * From the moment that nothing goes wrong any more until everything must be well: the longest pause after failures in a row
 * (some 15 s, since trouble lasts 20 s), and a session with NATS that is dead and has not been found out yet (20 s).
 */
const CONVERGED_WITHIN_MS = 45_000;
/** How often it is looked. */
const LOOK_EVERY_MS = 500;
/** Within how many token lives after that every slot must have been renewed. */
const LIVES = 1.3;
/** How long a source may be without a good refresh token, once somebody has noticed. */
const REAUTHORISED_WITHIN_MS = 8_000;
/** Lives that are long enough to be called long: no renewal is waited for. */
const LONG_LIFE_MS = 60_000;

/** What an identity provider was the reason of may outlast its trouble: a call that hung, the pause after failures. */
const UPSTREAM = new Set(['IDP_TIMEOUT', 'IDP_UNAVAILABLE', 'IDP_PROTOCOL', 'IDP_DENIED', 'QUOTA_EXHAUSTED']);

/** Waits until every near cache agrees with Redis on every slot, and then for renewals. Says what is not well in the end. */
export async function converge(world: World, mayGoOn: () => boolean): Promise<string | undefined> {
  const asking = new Asking(world);
  const fromMs = world.loop.nowMs;
  let problem: string | undefined = 'nobody looked';
  while (problem !== undefined && world.loop.nowMs < fromMs + CONVERGED_WITHIN_MS) {
    asking.askAll();
    await world.loop.run(world.loop.nowMs + LOOK_EVERY_MS, mayGoOn);
    if (!mayGoOn()) return undefined;
    problem = disagreement(world);
  }
  if (problem !== undefined) return `after ${String(CONVERGED_WITHIN_MS)} ms without faults: ${problem}`;
  return world.shape.tokenLifeMs > LONG_LIFE_MS ? undefined : renewals(world, mayGoOn);
}

/** What near caches, brokers and Redis do not agree on. */
function disagreement(world: World): string | undefined {
  for (const { slot, partition } of world.slots) {
    const stored = world.redis.redis.partitions[partition];
    const record = stored?.slots.get(slot)?.record;
    for (const { process, broker, handles } of world.clients) {
      const current = handles.find((one) => one.slot.slot === slot)?.handle.current;
      if (current === undefined) return `${process.name} holds nothing for ${slot}`;
      if (record?.sealed === undefined || record.epoch !== stored?.epoch) return `Redis has no record of ${slot}`;
      if (current.generation !== record.generation || current.epoch !== record.epoch)
        return `${process.name} holds generation ${String(current.generation)} of ${slot}, Redis has ${String(record.generation)}`;
      if (broker.stats().suspect) return `${process.name} is suspect`;
    }
  }
  for (const { process, broker } of world.brokers) {
    const { ready, checks } = broker.readiness();
    if (!ready) return `${process.name} is not ready: ${Object.values(checks).join(', ')}`;
  }
  // Until it is found out, it is given its part of all requests, and answers none: nothing is well before that.
  if (world.nats.groupsWholeSinceMs > world.loop.nowMs) return 'NATS gives requests to a session that is dead';
  return undefined;
}

/** One that caches may have nothing to give but the token that was revoked. */
function isUpstreamOf({ shape }: World): (code: string) => boolean {
  return (code) => UPSTREAM.has(code) || (shape.idpCaches && code === 'REVOKED');
}

/** Every slot is renewed in time, by one call each, and nobody who asks is refused. */
async function renewals(world: World, mayGoOn: () => boolean): Promise<string | undefined> {
  const { tokenLifeMs } = world.shape;
  // A renewal that the quota refuses comes a window later.
  const { windowMs = 0 } = world.shape.quota ?? {};
  const isUpstream = isUpstreamOf(world);
  const generations = new Map(world.slots.map(({ slot, partition }) => [slot, generationOf(world, slot, partition)]));
  const calls = world.idp.calls;
  const { observer } = world;
  const { ends } = observer.upstream;
  const revokedBefore = observer.revokedSlots;
  const fromMs = world.loop.nowMs;
  const untilMs = fromMs + LIVES * tokenLifeMs + windowMs;
  const areRenewed = (): boolean =>
    world.slots.every(({ slot, partition }) => generationOf(world, slot, partition) !== generations.get(slot));
  while (world.loop.nowMs < untilMs && !areRenewed()) {
    await world.loop.run(Math.min(world.loop.nowMs + LOOK_EVERY_MS, untilMs), mayGoOn);
    if (!mayGoOn()) return undefined;
  }
  const ended = observer.upstream.ends - ends;
  // A family that was over is found out by a renewal, and an operator takes his time.
  const againMs = ended > 0 ? REAUTHORISED_WITHIN_MS + LIVES * tokenLifeMs : 0;
  if (againMs > 0) await world.loop.run(world.loop.nowMs + againMs, mayGoOn);
  if (!mayGoOn()) return undefined;
  // Who asks before that may join what began during the faults, and fails with it.
  const calmMs = Math.max(fromMs, world.scenario.troubleUntilMs + world.shape.requestTimeoutMs);
  const refused = world.refusals.find(({ askedAtMs, code }) => askedAtMs >= calmMs && !isUpstream(code));
  if (refused !== undefined) return `a caller was refused with ${refused.code}, although nothing was wrong`;
  for (const { slot, partition } of world.slots)
    if (generationOf(world, slot, partition) === generations.get(slot)) return `${slot} was not renewed`;
  // Each life is at least 0.6 of its length before it is renewed; rejections, revocations that came late and one renewal under
  // way come on top.
  // One that caches gives tokens that have lived for a while already.
  const shortest = world.shape.idpCaches ? 0.3 : 0.6;
  const lives = (world.loop.nowMs - fromMs) / tokenLifeMs;
  const revoked = observer.revokedSlots - revokedBefore;
  const most = world.slots.length * (Math.ceil(lives / shortest) + 1 + 2 * ended) + revoked + observer.rejections;
  const made = world.idp.calls - calls;
  return made > most
    ? `${String(made)} calls of the identity provider were made where ${String(most)} would do`
    : undefined;
}

/** Asks for every slot in every client, one call at a time each. */
class Asking {
  readonly #world: World;
  readonly #underWay = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  askAll(): void {
    for (const client of this.#world.clients) for (const one of client.handles) this.#ask(client, one);
  }

  #ask(client: ClientHost, { slot, handle }: ClientHost['handles'][number]): void {
    const name = `${client.process.name} ${slot.slot}`;
    if (handle.current !== undefined || this.#underWay.has(name)) return;
    this.#underWay.add(name);
    void client.ask(slot, handle).finally(() => {
      this.#underWay.delete(name);
    });
  }
}

function generationOf(world: World, slot: string, partition: number): number {
  return world.redis.redis.partitions[partition]?.slots.get(slot)?.record?.generation ?? 0;
}
