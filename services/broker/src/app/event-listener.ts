import {
  decode,
  flightNoticeSchema,
  heartbeatSchema,
  invalidationSchema,
  isUsualHeartbeat,
  isUsualInvalidation,
  isUsualReceipt,
  LIMITS,
  peerMessageSchema,
  receiptSchema,
  type FlightNotice,
  type MessageOf,
  type MessageSchema,
  type Subjects,
} from '@token-broker/protocol';
import type { Acknowledgements } from './cluster/acknowledgements.js';
import type { GetToken } from './requests/get-token.js';
import type { Inquiries } from './cluster/inquiries.js';
import { applyInvalidation } from './memory/invalidations.js';
import type { LeaseKeeper } from './cluster/lease-keeper.js';
import type { Memory } from './memory/memory.js';
import type { Notices } from './cluster/notices.js';
import type { Bus } from './ports/bus.js';
import type { Log } from './ports/telemetry.js';
import type { Publisher } from './cluster/publisher.js';
import type { Sources } from './sources/sources.js';

export interface EventListenerPorts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly memory: Memory;
  readonly notices: Notices;
  readonly sources: Sources;
  readonly getToken: GetToken;
  readonly leaseKeeper: LeaseKeeper;
  readonly publisher: Publisher;
  readonly peers: Acknowledgements;
  readonly nearCaches: Acknowledgements;
  readonly inquiries: Inquiries;
  readonly log: Log;
  readonly broker: string;
  readonly onReload: () => void;
}

/** Hears what peers and near caches say. Events are hints: each may come late, twice, out of order or never. */
export function listenToEvents(ports: EventListenerPorts): void {
  const { bus, subjects, memory, leaseKeeper, publisher, peers, nearCaches, broker } = ports;

  const invalidations = { schema: invalidationSchema, isUsual: isUsualInvalidation };
  on(ports, subjects.invalidation('*'), invalidations, (message) => {
    applyInvalidation(memory, message);
    if (message.ackTo !== undefined && message.ackTo !== broker) publisher.applied(message.ackTo, message.id);
  });

  on(ports, subjects.heartbeat(), { schema: heartbeatSchema, isUsual: isUsualHeartbeat }, (heartbeat) => {
    leaseKeeper.heardHeartbeat(heartbeat.broker === broker, heartbeat.ageMs);
  });

  on(ports, subjects.flight('*'), { schema: flightNoticeSchema }, (notice) => {
    // Our own too: flights with other wishes wait in this process for one that has ended.
    ports.notices.announce(notice);
    if (notice.outcome === 'committed' && notice.broker !== broker) takeOver(ports, notice);
  });

  for (const mailbox of [broker, 'all']) {
    on(ports, subjects.peer(mailbox), { schema: peerMessageSchema }, (message) => {
      if (message.kind === 'applied') peers.confirm(message.id, message.broker);
      else if (message.kind !== 'reload') ports.inquiries.hear(message);
      else if (message.broker !== broker) ports.onReload();
    });
  }

  // Every broker hears the receipts of all near caches, and one of them waits for them.
  on(
    ports,
    subjects.ack('*'),
    { schema: receiptSchema, isUsual: isUsualReceipt },
    (receipt, subject) => {
      const parsed = subjects.parse(subject);
      if (parsed?.verb === 'ack') nearCaches.confirm(receipt.id, `${parsed.caller}/${receipt.instance}`);
    },
    () => nearCaches.isCollecting,
  );

  bus.onConnectionChange((connected) => {
    // Whatever was published while the connection was away is lost: the log in Redis has it.
    if (connected) leaseKeeper.hurry();
  });
}

/** A peer has renewed what is held here: read the new one, so that nobody is answered with the old. */
function takeOver(ports: EventListenerPorts, notice: Extract<FlightNotice, { outcome: 'committed' }>): void {
  const { memory, sources, getToken, log } = ports;
  const held = memory.peek(notice.slot);
  if (held?.epoch !== notice.epoch || held.generation >= notice.generation) return;
  const source = sources.source(held.address.source);
  if (source?.recipe !== held.address.recipe) return;
  getToken.look(source, held.address, held.generation, held.wantedAtMs, held.wantedBy).catch((error: unknown) => {
    log.debug('store: a renewed token could not be read yet', { reason: error instanceof Error ? error.message : '' });
  });
}

/** How messages of one kind are read; see {@link decode}. */
interface Reading<S extends MessageSchema> {
  readonly schema: S;
  readonly isUsual?: (value: unknown) => value is MessageOf<S>;
}

function on<S extends MessageSchema>(
  ports: EventListenerPorts,
  subject: string,
  { schema, isUsual }: Reading<S>,
  handle: (message: MessageOf<S>, subject: string) => void,
  isWanted: () => boolean = () => true,
): void {
  ports.bus.subscribe(subject, (payload, actual) => {
    if (!isWanted()) return;
    const decoded = decode(schema, payload, LIMITS.replyBytes, isUsual);
    if (decoded.ok) handle(decoded.value, actual);
    else ports.log.warn('nats: an event was not understood', { subject: actual, reason: decoded.error });
  });
}
