import { CANARY, itRefuses } from './fakes/refused-documents.js';

itRefuses({
  endpoints: [
    [
      'http issuer without the development flag',
      { 'sources/payments/issuer': 'http://idp' },
      'sources.payments.issuer',
      'allowInsecureHttp: true in development',
    ],
    [
      'issuer with credentials',
      { 'sources/payments/issuer': `https://a:${CANARY}@idp` },
      'sources.payments.issuer',
      'credentials',
    ],
    [
      'issuer and tokenEndpoint',
      { 'sources/payments/tokenEndpoint': 'https://idp/t' },
      'sources.payments.tokenEndpoint',
      'cannot be combined',
    ],
    [
      'neither issuer nor tokenEndpoint',
      { 'sources/payments/issuer': undefined },
      'sources.payments',
      'either issuer or tokenEndpoint',
    ],
    [
      'certificate that is none',
      { 'sources/payments/ca': 'ca.pem' },
      'sources.payments.ca',
      'expected a PEM certificate',
    ],
  ],
  kinds: [
    [
      'unknown provider',
      { 'sources/payments/provider': 'oauth' },
      'sources.payments.provider',
      'did you mean "oauth2"?',
    ],
    [
      'unknown grant',
      { 'sources/payments/grant': 'client_credential' },
      'sources.payments.grant',
      'did you mean "client_credentials"?',
    ],
  ],
  parameters: [
    [
      'reserved parameter',
      { 'sources/payments/parameters': { client_secret: CANARY } },
      'sources.payments.parameters.client_secret',
      'is set by the broker itself',
    ],
    [
      'parameter that is no text',
      { 'sources/payments/parameters': { a: 1 } },
      'sources.payments.parameters.a',
      'put it in quotes',
    ],
    ['scope with a quote', { 'sources/payments/scope': ['a"b'] }, 'sources.payments.scope[0]', 'not a scope'],
    [
      'resource that is no URI',
      { 'sources/payments/resource': 'api' },
      'sources.payments.resource',
      'not an absolute URI',
    ],
    [
      'audience with a newline',
      { 'sources/payments/audience': 'a\nb' },
      'sources.payments.audience',
      'control character',
    ],
  ],
  'lock times': [
    [
      'lock time equal to the timeout',
      { 'sources/payments/timeout': '5s', 'sources/payments/lockTime': '5s' },
      'sources.payments.lockTime',
      'is not above timeout (5 s)',
    ],
    [
      'lock time below the default timeout',
      { 'sources/payments/lockTime': '5s' },
      'sources.payments.lockTime',
      'is not above timeout (10 s)',
    ],
  ],
  'lives and margins': [
    [
      'refresh margin of the whole life',
      { 'sources/payments/refresh': { ahead: '100%' } },
      'sources.payments.refresh.ahead',
      'not below the life',
    ],
    [
      'refresh margin above the life',
      { 'sources/payments/refresh': { ahead: '10m' }, 'sources/payments/defaultLifetime': '5m' },
      'sources.payments.refresh.ahead',
      'not below the life of the token (5 m 0 s)',
    ],
    [
      'refresh margin above every life',
      { 'sources/payments/refresh': { ahead: '2h' }, 'sources/payments/maxLifetime': '1h' },
      'sources.payments.refresh.ahead',
      'not below the life of the token (1 h 0 m)',
    ],
    [
      'refresh margin without a unit',
      { 'sources/payments/refresh': { ahead: '20' } },
      'sources.payments.refresh.ahead',
      'the unit is missing',
    ],
    [
      'life below the minimum lifetime',
      { 'sources/payments/defaultLifetime': '5s' },
      'sources.payments.defaultLifetime',
      'not above cluster.minLifetime (5 s)',
    ],
    [
      'default life above the maximum',
      { 'sources/payments/defaultLifetime': '2h', 'sources/payments/maxLifetime': '1h' },
      'sources.payments.defaultLifetime',
      'is above maxLifetime',
    ],
  ],
  callers: [
    [
      'unknown source of a caller',
      { 'callers/orders/sources': ['paymemts'] },
      'callers.orders.sources[0]',
      'no source of this name (did you mean "payments"?)',
    ],
    [
      'one source that is no list',
      { 'callers/orders/sources': 'payments' },
      'callers.orders.sources',
      'expected a list of sources, or "*"',
    ],
    [
      'unknown source in a grant',
      { 'callers/orders/sources': [{ name: 'other' }] },
      'callers.orders.sources[0].name',
      'known: payments',
    ],
    [
      'source twice for a caller',
      { 'callers/orders/sources': ['payments', 'payments'] },
      'callers.orders.sources[1]',
      'in the list already',
    ],
    ['caller named as the broker', { callers: { broker: {} } }, 'callers.broker', 'the broker’s own NATS user'],
  ],
});
