import { err } from '@token-broker/foundation';
import type { Lender } from '../../../app/ports/provider.js';

/** There is no other source. */
export const lendNothing: Lender = () =>
  Promise.resolve(err({ code: 'IDP_DENIED', message: 'there is no such source', detail: '' }));
