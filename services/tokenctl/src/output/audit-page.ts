import type { AuditRecord } from '@token-broker/protocol';
import { printable, type Style } from './style.js';
import { timeOf } from './texts.js';

const EVENT_CHARACTERS = 22;

/** One record as a line for people: when, what, who, of what, how it ended, why, and what else there is. */
export function renderRecord(record: AuditRecord, style: Style): string {
  const { at, event, by, selector, source, slot, generation, result, reason, revocation, traceId, facts } = record;
  const what = selector ?? source ?? slot;
  // What the selector does not name itself.
  const where = selector === undefined || selector.includes(':') ? {} : { source, slot };
  const known = { ...where, generation, ...facts, revocation, trace: traceId };
  const further = Object.entries(known).flatMap(([name, fact]) =>
    fact === undefined ? [] : [`${name}=${worded(fact)}`],
  );
  return `${[
    style.dim(timeOf(Date.parse(at))),
    printable(event).padEnd(EVENT_CHARACTERS),
    style.bold(printable(by)),
    ...(what === undefined ? [] : [printable(what)]),
    ...(result === undefined ? [] : [result === 'done' ? style.good(result) : style.bad(result)]),
    ...(reason === undefined ? [] : [JSON.stringify(printable(reason))]),
    ...further.map(printable),
    style.dim(`[${record.broker}]`),
  ].join(' ')}\n`;
}

function worded(fact: unknown): string {
  return typeof fact === 'string' && !/[\s"]/.test(fact) ? fact : JSON.stringify(fact);
}
