import { formatDuration } from '@token-broker/foundation';
import type { BrokerEvent } from '../watch/broker-event.js';
import { printable, type Style } from './style.js';
import { counted, generationTime } from './texts.js';

/** Slots and sources that one line names. */
const NAMED = 5;

/** One event as a line; `at` is ISO 8601. */
export function renderEvent(at: string, event: BrokerEvent, style: Style): string {
  const [what, ...rest] = printable(textOf(event)).split(': ');
  const time = style.dim(at.replace('T', ' ').replace('Z', ''));
  return `${time}  ${tone(event, style)(what ?? '')}: ${rest.join(': ')}`;
}

function textOf(event: BrokerEvent): string {
  switch (event.event) {
    case 'refreshed':
      return `refreshed: ${event.source} ${event.slot}, generation ${generationTime(event.generation)}, for ${formatDuration(event.lifeMs)}`;
    case 'invalidated':
      return `invalidated: ${hitBy(event)}, in ${counted(event.partitions, 'partition')} [${event.id}]`;
    case 'heartbeat':
      return `heartbeat: ${event.broker}`;
    case 'heartbeat-missing':
      return `heartbeat missing: none for ${formatDuration(event.forMs)}; near caches cut off like this are suspect`;
    case 'new-epoch':
      return `new epoch: ${counted(event.partitions.length, 'partition')} (${event.partitions.slice(0, NAMED).join(', ')}${event.partitions.length > NAMED ? ', …' : ''}); Redis was restarted, emptied or failed over`;
    case 'nats-away':
      return 'nats away: the connection is lost, what happens now is not heard';
    case 'nats-back':
      return 'nats back: connected again';
    case 'denied':
      return `denied: the NATS server does not let this user hear ${event.subject}`;
    case 'not-understood':
      return `not understood: ${event.subject}: ${event.why}`;
  }
}

function hitBy({ everything, sources, slots }: Extract<BrokerEvent, { event: 'invalidated' }>): string {
  if (everything) return 'every token';
  const parts = [
    ...(sources.length > 0 ? [`source ${listed(sources)}`] : []),
    ...(slots.length > 0 ? [`slot ${listed(slots)}`] : []),
  ];
  return parts.length === 0 ? 'nothing that is named' : parts.join(', ');
}

function listed(names: readonly string[]): string {
  const hidden = names.length - NAMED;
  return `${names.slice(0, NAMED).join(', ')}${hidden > 0 ? ` and ${String(hidden)} more` : ''}`;
}

function tone({ event }: BrokerEvent, style: Style): (text: string) => string {
  switch (event) {
    case 'refreshed':
    case 'heartbeat':
    case 'nats-back':
      return (text) => style.good(text);
    case 'invalidated':
    case 'new-epoch':
      return (text) => style.warn(text);
    default:
      return (text) => style.bad(text);
  }
}
