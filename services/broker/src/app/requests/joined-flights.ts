import { SingleFlight } from '@token-broker/foundation';
import type { TraceContext } from '../../domain/trace-context.js';
import type { FlightOutcome, FlightPlan, FlightPorts } from '../flight/flight-plan.js';
import { fly } from '../flight/flight.js';
import type { SlotAddress } from '../ports/store.js';
import type { Span } from '../ports/tracing.js';

/** The flights of this process, each shared by all who want the same. */
export class JoinedFlights {
  readonly #ports: FlightPorts;
  readonly #flights = new SingleFlight<FlightOutcome>();
  readonly #spans = new WeakMap<Promise<FlightOutcome>, TraceContext>();

  constructor(ports: FlightPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#flights.size;
  }

  /** Whether a caller who waits for more than `wantGreaterThan` would join a flight now. */
  canJoin(address: SlotAddress, wantGreaterThan: number): boolean {
    return this.#flights.has(keyOf(address, wantGreaterThan, false));
  }

  /**
   * Joins the flight of what is planned, or begins it. Never rejects.
   *
   * @param asked whose work it is: a flight that begins is a part of it, one that is joined is linked to it
   */
  join(plan: Omit<FlightPlan, 'span'>, asked: Span): Promise<FlightOutcome> {
    const { address, wantGreaterThan, onlyIfFree, reason } = plan;
    let context: TraceContext | undefined;
    const begin = (): Promise<FlightOutcome> => {
      const { source, slot } = address;
      const span = this.#ports.tracing.start('flight', asked.context, { source, slot, reason });
      context = span.context;
      return fly(this.#ports, { ...plan, span });
    };
    const flight = this.#flights.join(keyOf(address, wantGreaterThan, onlyIfFree), begin);
    const joined = this.#spans.get(flight);
    if (joined !== undefined) asked.link(joined);
    else if (context !== undefined) this.#spans.set(flight, context);
    return flight;
  }

  /** An invalidation: callers from now on do not join what is in the air. */
  detach(matches: (slot: string, source: string) => boolean): void {
    this.#flights.detachWhere((key) => {
      const [source = '', slot = ''] = key.split(' ');
      return matches(slot, source);
    });
  }

  /** Resolves when the flights that are in the air have ended. */
  settle(): Promise<void> {
    return this.#flights.settle();
  }
}

/** Flights are joined by slot, recipe and wish. The source comes first, for {@link JoinedFlights.detach}. */
function keyOf(address: SlotAddress, wantGreaterThan: number, onlyIfFree: boolean): string {
  return [address.source, address.slot, address.recipe, String(wantGreaterThan), String(onlyIfFree)].join(' ');
}
