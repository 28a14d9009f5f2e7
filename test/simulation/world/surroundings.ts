import type { Scripts, ServiceRequest } from '@token-broker/broker/simulation';
import type { Token } from '@token-broker/client';
import type { EventLoop, SeededRandom, SimulatedNats, SimulatedProcess } from '@token-broker/testing';
import type { Bug } from '../bugs/bug.js';
import type { Timeline } from '../checker/timeline.js';
import type { Point } from '../faults/points.js';
import type { Shape } from '../scenario.js';
import type { WorldSlot } from './configuration.js';
import type { IdentityProvider } from './identity-provider.js';
import type { LockServer } from './lock-server.js';
import type { RedisServer } from './redis-server.js';
import type { Trouble } from './trouble.js';
import type { UpstreamObserver } from './upstream-observer.js';

/** Who is told what brokers answer and what clients give to applications. */
export interface Watch {
  readonly upstream: UpstreamObserver;
  /** What a broker answers leaves its service. */
  answered(process: SimulatedProcess, request: ServiceRequest, reply: Uint8Array): void;
  handedOut(process: SimulatedProcess, client: number, slot: string, token: Token): void;
  /** A call has ended without a token. `askedAtMs`: true time. */
  refused(process: SimulatedProcess, client: number, slot: string, code: string, askedAtMs: number): void;
}

/** What those who live in a world see of it. */
export interface Surroundings {
  readonly shape: Shape;
  readonly sabotage: Bug | undefined;
  readonly slots: readonly WorldSlot[];
  readonly loop: EventLoop;
  readonly nats: SimulatedNats;
  readonly redis: RedisServer;
  readonly locks: LockServer;
  readonly idp: IdentityProvider;
  readonly observer: Watch;
  readonly trouble: Trouble;
  readonly timeline: Timeline | undefined;
  /** Calls that ended without a token, by their code. */
  readonly counts: { readonly refusals: Map<string, number> };
  /** The same, by when they were made. */
  readonly refusals: { readonly askedAtMs: number; readonly code: string }[];
  /** True time at which the clock of a broker was last set on, or it woke up. */
  lastJumpAtMs(): number;
  pass(point: Point, process: SimulatedProcess | undefined): void;
  /** Random numbers for one part of the world: what others draw does not change them. */
  randomOf(part: string): SeededRandom;
  createProcess(name: string): SimulatedProcess;
  /** The scripts of Redis for one process: sabotaged where that is the point of the run, and observed. */
  scripts(process: SimulatedProcess): Scripts;
  /** A source has no refresh token that is good, and somebody has noticed. */
  reauthorise(source: string): void;
  /** An operator has ordered a successor for the token of a slot. */
  isReplaced(slot: string): boolean;
  noteOf(process: string): ((text: string) => void) | undefined;
}
