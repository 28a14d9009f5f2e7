/** NATS users of the brokers: one serves, the other publishes events. */
export const BROKER_USERS = ['broker', 'broker-events'] as const;

/** The four sample microservices. */
export const SAMPLE_SERVICES = ['orders', 'billing', 'shipping', 'reports'] as const;

export type SampleServiceName = (typeof SAMPLE_SERVICES)[number];

/** Who uses `tokenctl`. */
export const OPERATOR = 'ops';

export const CALLERS = [...SAMPLE_SERVICES, OPERATOR] as const;

/** The source that every sample service uses. */
export const PAYMENTS = 'payments-api';

/** The source that only two of them may use, and one of these with a scope beyond the source's own. */
export const LEDGER = 'ledger-api';
export const EXPORT_SCOPE = 'ledger:export';

/** Clients at the identity provider: one a source, so that its counter tells the sources apart. */
export const CLIENT_OF_SOURCE = { [PAYMENTS]: 'payments', [LEDGER]: 'ledger' } as const;
