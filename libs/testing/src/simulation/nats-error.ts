/** An error of the driver, with its code as the message. */
export class SimulatedNatsError extends Error {
  override readonly name = 'NatsError';
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}
