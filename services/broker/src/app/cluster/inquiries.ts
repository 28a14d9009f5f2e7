import { delay, randomId, type Clock, type Random } from '@token-broker/foundation';
import type { Inquiry, PeerMessage, ReplicaReport } from '@token-broker/protocol';
import { Acknowledgements } from './acknowledgements.js';
import type { Publisher } from './publisher.js';

/** Peers answer from memory: one that has not by now is hanging, cut off, or of a version that knows no inquiries. */
const ANSWER_WITHIN_MS = 500;
/** So long also those are listened to that nobody expects: a replica that has lost Redis has no lease, and much to tell. */
const LISTEN_AT_LEAST_MS = 50;

export interface InquiryPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly publisher: Publisher;
  readonly broker: string;
  /** Brokers with a lease, this one included. */
  readonly brokers: () => readonly string[];
  /** What this replica answers. Never rejects. */
  readonly report: (inquiry: Inquiry) => Promise<ReplicaReport>;
}

export interface Answers {
  /** This replica's own first, then in the order of names. */
  readonly reports: readonly ReplicaReport[];
  /** Brokers with a lease that have not answered. */
  readonly silent: readonly string[];
}

/** Asks every replica, so that an operator who reaches one learns of all. */
export class Inquiries {
  readonly #ports: InquiryPorts;
  readonly #answered: Acknowledgements;
  readonly #open = new Map<string, Map<string, ReplicaReport>>();

  constructor(ports: InquiryPorts) {
    this.#ports = ports;
    this.#answered = new Acknowledgements(ports.clock);
  }

  /** Never rejects, and never takes longer than half a second. */
  async ask(inquiry: Inquiry): Promise<Answers> {
    const { clock, random, publisher, broker, brokers, report } = this.#ports;
    const id = randomId(random);
    const expected = brokers().filter((name) => name !== broker);
    const collector = this.#answered.expect(id);
    const answers = new Map<string, ReplicaReport>();
    this.#open.set(id, answers);
    const own = report(inquiry);
    try {
      if (publisher.inquire(id, inquiry)) {
        const listened = delay(clock, LISTEN_AT_LEAST_MS);
        await collector.waitFor(expected, ANSWER_WITHIN_MS);
        await listened;
      }
    } finally {
      collector.close();
      this.#open.delete(id);
    }
    const others = [...answers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, answer]) => answer);
    return { reports: [await own, ...others], silent: expected.filter((name) => !answers.has(name)) };
  }

  /** A peer asks, or answers. */
  hear(message: Extract<PeerMessage, { kind: 'inquiry' | 'answer' }>): void {
    const { publisher, broker, report } = this.#ports;
    if (message.broker === broker) return;
    if (message.kind === 'inquiry') {
      void report(message.inquiry).then((answer) => {
        publisher.answer(message.broker, message.id, answer);
      });
      return;
    }
    this.#open.get(message.id)?.set(message.broker, message.report);
    this.#answered.confirm(message.id, message.broker);
  }
}
