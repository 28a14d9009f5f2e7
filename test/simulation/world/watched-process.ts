import { SimulatedProcess } from '@token-broker/testing';

/** Who is told when a process does not run. */
export interface PresenceWatch {
  left(process: string, isGone: boolean): void;
  returned(process: string): void;
}

/** A process whose absences are seen: it is stopped, it sleeps, it is dead. */
export class WatchedProcess extends SimulatedProcess {
  watch: PresenceWatch | undefined;

  override stop(): void {
    super.stop();
    if (!this.isDead) this.watch?.left(this.name, false);
  }

  override continue(): void {
    const isStopped = this.state === 'stopped';
    // Before it does what it was about to do.
    if (isStopped) this.watch?.returned(this.name);
    super.continue();
    if (this.state === 'stopped') this.watch?.left(this.name, false);
  }

  override kill(): void {
    super.kill();
    this.watch?.left(this.name, true);
  }
}
