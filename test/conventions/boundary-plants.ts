/**
 * A repository in miniature for {@link file://./boundaries.test.ts}: files that the boundary rules must allow, and for
 * each rule a file that breaks it.
 */

/** Packages of others that the miniature finds in its node_modules, declared or not. */
export const installedPackages: readonly string[] = [
  'nats',
  '@nats-io/transport-node',
  'ioredis',
  'redlock',
  'openid-client',
  'undici',
  '@opentelemetry/api',
  'zod',
  'left-pad',
  'vitest',
];

const name = (library: string): string => `@token-broker/${library}`;

/** The folder of each package, and what its package.json declares. */
export const miniatureWorkspaces: Readonly<Record<string, readonly string[]>> = {
  'libs/foundation': ['zod', name('protocol')],
  'libs/protocol': ['zod', name('foundation'), name('configuration')],
  'libs/configuration': ['zod', name('foundation'), name('protocol'), name('client')],
  'libs/provider': [name('foundation'), name('protocol')],
  'libs/client': ['nats', name('foundation'), name('protocol'), name('configuration'), name('testing'), name('broker')],
  'libs/testing': ['nats', 'ioredis', name('foundation')],
  'services/broker': [
    'nats',
    'ioredis',
    'redlock',
    'openid-client',
    'undici',
    '@opentelemetry/api',
    name('foundation'),
    name('protocol'),
    name('configuration'),
    name('provider'),
    name('testing'),
  ],
  'services/tokenctl': ['nats', '@nats-io/transport-node', name('client'), name('broker')],
  'deploy/local': [name('testing'), name('broker')],
  test: [name('foundation')],
};

/** What the design allows; none of these may be reported. */
export const allowedFiles: Readonly<Record<string, string>> = {
  'libs/foundation/src/index.ts': `export { now } from './clock.js';\n`,
  'libs/foundation/src/clock.ts': `import { inspect } from 'node:util';\nexport const now = inspect;\n`,
  'libs/foundation/src/fakes/clock.ts': `import '../clock.js';\n`,
  'libs/foundation/src/clock.test.ts': `import 'vitest';\nimport './clock.js';\n`,
  'libs/protocol/src/index.ts': `import 'zod';\nexport { now } from '@token-broker/foundation';\n`,
  'libs/configuration/src/index.ts': `import 'zod';\nimport '@token-broker/protocol';\nexport interface Settings { readonly x: 1 }\nexport const parse = 1;\n`,
  'libs/provider/src/index.ts': `import '@token-broker/foundation';\nexport interface Request { readonly x: 1 }\n`,
  'libs/client/src/index.ts': `import '@token-broker/protocol';\nexport const client = 1;\n`,
  'libs/client/src/client.test.ts': `import 'vitest';\nimport 'nats';\nimport '@token-broker/testing';\nimport './index.js';\n`,
  'libs/testing/src/index.ts': `import 'nats';\nimport 'ioredis';\nimport '@token-broker/foundation';\n`,
  'services/broker/src/index.ts': `export { compose } from './compose.js';\n`,
  'services/broker/src/main.ts': `import { compose } from './compose.js';\ncompose();\n`,
  'services/broker/src/compose.ts': `import './adapters/nats/connection.js';\nimport './adapters/redis/store.js';\nimport './adapters/providers/oauth2.js';\nimport './adapters/telemetry/open-telemetry.js';\nimport './app/use-case.js';\nexport function compose(): void {}\n`,
  'services/broker/src/domain/decision.ts': `import { createHash } from 'node:crypto';\nimport '@token-broker/foundation';\nimport '@token-broker/protocol';\nexport const decide = createHash;\n`,
  'services/broker/src/app/ports/provider.ts': `export type { Request } from '@token-broker/provider';\n`,
  'services/broker/src/app/ports/store.ts': `import '../../domain/decision.js';\nexport interface Store { readonly x: 1 }\nexport const limit = 1;\n`,
  'services/broker/src/app/use-case.ts': `import type { Settings } from '@token-broker/configuration';\nimport type { Store } from './ports/store.js';\nimport '../domain/decision.js';\nimport './requests/ask.js';\nexport const use = (s: Settings, t: Store): unknown => [s, t];\n`,
  'services/broker/src/app/requests/ask.ts': `export const ask = 1;\n`,
  'services/broker/src/adapters/nats/connection.ts': `import 'nats';\nimport type { use } from '../../app/use-case.js';\nexport type Use = typeof use;\n`,
  'services/broker/src/adapters/redis/store.ts': `import 'ioredis';\nimport 'redlock';\nimport { limit } from '../../app/ports/store.js';\nimport '../../domain/decision.js';\nimport './script.js';\nexport const store = limit;\n`,
  'services/broker/src/adapters/redis/script.ts': `import { readFileSync } from 'node:fs';\nexport const script = readFileSync;\n`,
  'services/broker/src/adapters/providers/oauth2.ts': `import 'openid-client';\nimport 'undici';\nexport const provider = 1;\n`,
  'services/broker/src/adapters/telemetry/open-telemetry.ts': `import type { Span } from '@opentelemetry/api';\nexport const load = (): Promise<{ readonly span?: Span }> => import('@opentelemetry/api');\n`,
  'services/tokenctl/src/index.ts': `import './nats-connection.js';\nimport '@token-broker/client';\n`,
  'services/tokenctl/src/nats-connection.ts': `import 'nats';\n`,
  'deploy/local/src/index.ts': `import '@token-broker/testing';\nimport '@token-broker/broker';\n`,
  'test/allowed.test.ts': `import 'vitest';\nimport '@token-broker/foundation';\n`,
};

interface Plant {
  readonly rule: string;
  readonly file: string;
  readonly content: string;
}

const imports = (...targets: string[]): string => targets.map((target) => `import '${target}';\n`).join('');

const plants: readonly Plant[] = [
  { rule: 'no-circular', file: 'libs/protocol/src/circle.ts', content: imports('./round.js') },
  { rule: 'no-orphans', file: 'libs/protocol/src/orphan.ts', content: 'export const orphan = 1;\n' },
  { rule: 'not-to-unresolvable', file: 'libs/protocol/src/nowhere.ts', content: imports('./gone.js') },
  { rule: 'no-non-package-json', file: 'libs/protocol/src/undeclared.ts', content: imports('left-pad') },
  { rule: 'no-non-package-json', file: 'services/tokenctl/src/undeclared.ts', content: imports('zod') },
  { rule: 'production-needs-no-dev-dependency', file: 'libs/protocol/src/dev.ts', content: imports('vitest') },
  {
    rule: 'no-undeclared-workspace',
    file: 'services/tokenctl/src/wire.ts',
    content: imports('@token-broker/protocol'),
  },
  { rule: 'no-undeclared-workspace', file: 'test/undeclared.test.ts', content: imports('@token-broker/client') },
  {
    rule: 'no-package-internals',
    file: 'libs/client/src/internals.ts',
    content: imports('../../foundation/src/clock.js'),
  },
  {
    rule: 'no-package-internals',
    file: 'libs/client/src/built.ts',
    content: imports('../../foundation/dist/index.js'),
  },
  { rule: 'no-own-dist', file: 'libs/protocol/src/own-build.ts', content: imports('../dist/index.js') },
  { rule: 'production-knows-no-test', file: 'libs/foundation/src/tested.ts', content: imports('./clock.test.js') },
  { rule: 'production-knows-no-test', file: 'libs/foundation/src/faked.ts', content: imports('./fakes/clock.js') },
  {
    rule: 'production-knows-no-testing',
    file: 'services/broker/src/fakes.ts',
    content: imports('@token-broker/testing'),
  },
  { rule: 'production-knows-no-testing', file: 'libs/client/src/fakes.ts', content: imports('@token-broker/testing') },
  { rule: 'libraries-know-no-services', file: 'libs/client/src/service.ts', content: imports('@token-broker/broker') },
  {
    rule: 'foundation-reaches-only-its-peers',
    file: 'libs/foundation/src/up.ts',
    content: imports('@token-broker/protocol'),
  },
  {
    rule: 'protocol-reaches-only-its-peers',
    file: 'libs/protocol/src/up.ts',
    content: imports('@token-broker/configuration'),
  },
  {
    rule: 'configuration-reaches-only-its-peers',
    file: 'libs/configuration/src/up.ts',
    content: imports('@token-broker/client'),
  },
  {
    rule: 'client-reaches-only-its-peers',
    file: 'libs/client/src/up.ts',
    content: imports('@token-broker/configuration'),
  },
  {
    rule: 'provider-reaches-only-its-peers',
    file: 'libs/provider/src/up.ts',
    content: imports('@token-broker/protocol'),
  },
  { rule: 'foundation-has-no-dependencies', file: 'libs/foundation/src/schema.ts', content: imports('zod') },
  {
    rule: 'services-know-no-services',
    file: 'services/tokenctl/src/peer.ts',
    content: imports('@token-broker/broker'),
  },
  { rule: 'domain-is-pure', file: 'services/broker/src/domain/up.ts', content: imports('../app/use-case.js') },
  { rule: 'domain-is-pure', file: 'services/broker/src/domain/driver.ts', content: imports('ioredis') },
  { rule: 'app-knows-ports-only', file: 'services/broker/src/app/driver.ts', content: imports('nats') },
  {
    rule: 'app-knows-ports-only',
    file: 'services/broker/src/app/up.ts',
    content: imports('../adapters/redis/store.js'),
  },
  {
    rule: 'app-rooms-know-no-room-above',
    file: 'services/broker/src/app/memory/up.ts',
    content: imports('../requests/ask.js'),
  },
  {
    rule: 'app-rooms-know-no-room-above',
    file: 'services/broker/src/app/revocation/up.ts',
    content: imports('../requests/ask.js'),
  },
  {
    rule: 'app-knows-the-types-of-the-configuration',
    file: 'services/broker/src/app/reads.ts',
    content: `import { parse } from '@token-broker/configuration';\nexport const read = parse;\n`,
  },
  { rule: 'domain-and-app-do-no-io', file: 'services/broker/src/app/file.ts', content: imports('node:fs/promises') },
  { rule: 'domain-and-app-do-no-io', file: 'services/broker/src/domain/socket.ts', content: imports('node:net') },
  {
    rule: 'adapters-do-not-know-each-other',
    file: 'services/broker/src/adapters/nats/peer.ts',
    content: imports('../redis/store.js'),
  },
  {
    rule: 'adapters-know-ports-only',
    file: 'services/broker/src/adapters/nats/makes.ts',
    content: imports('../../app/use-case.js'),
  },
  { rule: 'only-compose-wires', file: 'services/broker/src/wires.ts', content: imports('./adapters/redis/store.js') },
  { rule: 'nats-stays-in-its-adapter', file: 'services/broker/src/adapters/redis/bus.ts', content: imports('nats') },
  { rule: 'nats-stays-in-its-adapter', file: 'services/broker/src/wire.ts', content: imports('nats') },
  {
    rule: 'nats-stays-in-its-adapter',
    file: 'services/tokenctl/src/command.ts',
    content: imports('@nats-io/transport-node'),
  },
  { rule: 'libraries-know-no-nats', file: 'libs/client/src/connection.ts', content: imports('nats') },
  {
    rule: 'redis-stays-in-its-adapter',
    file: 'services/broker/src/adapters/nats/lock.ts',
    content: imports('redlock'),
  },
  { rule: 'redis-stays-in-its-adapter', file: 'services/broker/src/cache.ts', content: imports('ioredis') },
  {
    rule: 'upstreams-stay-in-their-adapter',
    file: 'services/broker/src/adapters/redis/http.ts',
    content: imports('undici'),
  },
  {
    rule: 'traces-stay-in-their-adapter',
    file: 'services/broker/src/adapters/nats/spans.ts',
    content: `export const api = import('@opentelemetry/api');\n`,
  },
  {
    rule: 'traces-are-loaded-where-they-are-wanted',
    file: 'services/broker/src/adapters/telemetry/spans.ts',
    content: imports('@opentelemetry/api'),
  },
];

export const plantedFiles: Readonly<Record<string, string>> = {
  // A circle is reported once, at its first file.
  'libs/protocol/src/round.ts': imports('./circle.js'),
  ...Object.fromEntries(plants.map(({ file, content }) => [file, content])),
};

/** Which rule each planted file breaks, at least. */
export const violations: readonly { readonly rule: string; readonly file: string }[] = plants.map(({ rule, file }) => ({
  rule,
  file,
}));
