import { inspect } from 'node:util';
import type { NatsUser } from '@token-broker/testing';
import type { Seen } from './spellings.js';
import { PASSWORD, type Stack } from './stack.js';

const OBSERVER: NatsUser = { user: 'observer', password: PASSWORD, permissions: { publish: [], subscribe: ['>'] } };

/** All that comes out of a stack, for a search for what should not be in it. */
export class EverythingSeen {
  readonly #stack: Stack;
  /** Everything that NATS has carried. */
  readonly messages: Seen[] = [];
  /** What callers and operators were answered, what was thrown, and what is printed of the client. */
  readonly answers: Seen[] = [];

  private constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** Sees what NATS carries from now on. */
  static async of(stack: Stack): Promise<EverythingSeen> {
    const seen = new EverythingSeen(stack);
    await stack.changeNatsUsers((users) => [...users, OBSERVER]);
    const observer = await stack.connectAs(OBSERVER.user);
    observer.subscribe('>', {
      callback: (_error, { subject, data }) => seen.messages.push({ where: subject, bytes: data.slice() }),
    });
    await observer.flush();
    return seen;
  }

  /** Adds an answer, or an error with all that is in it. */
  note(where: string, value: unknown): void {
    const text =
      value instanceof Error ? `${value.stack ?? ''} ${inspect(value, { depth: 9 })}` : JSON.stringify(value);
    this.answers.push({ where, bytes: Buffer.from(text) });
  }

  /** Adds the error that this has to fail with. */
  async noteRefusal(where: string, work: Promise<unknown>): Promise<void> {
    const error: unknown = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error === undefined) throw new Error(`${where} was to fail`);
    this.note(where, error);
  }

  get logLines(): Seen[] {
    return this.#stack.logLines.map((line) => ({ where: `the log: ${line}`, bytes: Buffer.from(line) }));
  }

  /** What every broker shows by HTTP now. */
  async httpPages(): Promise<Seen[]> {
    const pages = this.#stack.brokers.flatMap(({ http }) =>
      ['metrics', 'readyz', 'livez'].map(async (page) => {
        const reply = await fetch(`http://${http.host}:${String(http.port)}/${page}`);
        return { where: `/${page}`, bytes: Buffer.from(await reply.text()) };
      }),
    );
    return Promise.all(pages);
  }
}
