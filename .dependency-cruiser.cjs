/**
 * The direction of dependencies, as rules. Packages are followed through the `token-broker:source` condition into each
 * other's source; without it the check would stop at every package's border and see nothing.
 *
 * `test/conventions/boundaries.test.ts` plants a violation of every rule and asserts that it is reported.
 */
const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

/** Tests, and what they run in the place of the real thing: neither is built. */
const TEST_FILE = String.raw`\.test\.ts$|/fakes/`;
const BROKER = '^services/broker/src';
/** The rooms of the broker's use cases, from the ground up. */
const APP_FLOORS = [
  ['ports', 'sources', 'tokens'],
  ['memory', 'upstream'],
  ['cluster'],
  ['flight', 'revocation'],
  ['requests'],
  ['refresher', 'event-listener', 'configuration-in-force', 'gauges'],
  ['broker'],
];
const NATS_PACKAGES = String.raw`(^|/)node_modules/(nats|@nats-io/[^/]+)/`;
const REDIS_PACKAGES = '(^|/)node_modules/(ioredis|redlock)/';
const UPSTREAM_PACKAGES = '(^|/)node_modules/(openid-client|undici|oauth4webapi|@aws-sdk/[^/]+)/';
const TRACING_PACKAGES = '(^|/)node_modules/@opentelemetry/';
const ANY_PACKAGE = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'];
const IO_OF_NODE =
  '^(node:)?(child_process|cluster|dgram|dns|fs|http|http2|https|inspector|net|os|process|readline|repl|tls|worker_threads)(/|$)';

/** Every workspace of this repository: its folder and its package.json. */
const workspaces = ['libs', 'services', 'deploy', '.']
  .filter((parent) => existsSync(join(__dirname, parent)))
  .flatMap((parent) =>
    readdirSync(join(__dirname, parent)).map((name) => (parent === '.' ? name : `${parent}/${name}`)),
  )
  .filter((folder) => /^(libs|services|deploy)\/|^test$/.test(folder))
  .filter((folder) => existsSync(join(__dirname, folder, 'package.json')))
  .map((folder) => ({
    folder,
    manifest: JSON.parse(readFileSync(join(__dirname, folder, 'package.json'), 'utf8')),
  }));

const escaped = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** The source files that a package offers to others: the targets of its `token-broker:source` conditions. */
const entrancesOf = ({ folder, manifest }) =>
  Object.values(manifest.exports ?? {})
    .map((conditions) => conditions['token-broker:source'])
    .filter((target) => target !== undefined)
    .map((target) => `^${escaped(join(folder, target)).replaceAll(String.raw`\*`, '.+')}$`);

const entrances = workspaces.flatMap(entrancesOf);

/** A workspace is linked into node_modules whether it is declared or not; so each package names what it may reach. */
const declaredWorkspaces = workspaces.map(({ folder, manifest }) => {
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies });
  const reachable = workspaces.filter((other) => other.folder === folder || declared.includes(other.manifest.name));
  return {
    name: 'no-undeclared-workspace',
    comment: `${folder}/package.json does not declare this package of the repository.`,
    severity: 'error',
    from: { path: `^${escaped(folder)}/` },
    to: {
      path: workspaces.map((other) => `^${escaped(other.folder)}/`),
      pathNot: reachable.map((other) => `^${escaped(other.folder)}/`),
    },
  };
});

/** `name` of `libs` may reach only these of its peers (and itself). Tests may also use `testing`. */
const libraryReaches = (name, ...peers) => ({
  name: `${name}-reaches-only-its-peers`,
  comment: `libs/${name} may depend on ${peers.length === 0 ? 'no other library' : peers.join(', ')}.`,
  severity: 'error',
  from: { path: `^libs/${name}/`, pathNot: TEST_FILE },
  to: { path: '^libs/', pathNot: [name, ...peers].map((peer) => `^libs/${peer}/`) },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Files that need each other are one idea, or a third idea is missing.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'Nothing uses this file and it uses nothing: it is dead, or not wired yet.',
      severity: 'error',
      from: { orphan: true, pathNot: [TEST_FILE, String.raw`\.d\.ts$`, '(^|/)(index|main)\\.ts$', '^test/'] },
      to: {},
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      comment: 'This import leads nowhere.',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-non-package-json',
      comment: 'Declare the package in the nearest package.json: it is here only because something else brought it.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'production-needs-no-dev-dependency',
      comment: 'A dev dependency is not there when the package is installed; a peer is, where its user brings it.',
      severity: 'error',
      from: { path: '^(libs|services|deploy/local)/', pathNot: TEST_FILE },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-peer', 'type-only'] },
    },
    ...declaredWorkspaces,
    {
      name: 'no-package-internals',
      comment: 'Another package is reached by its name and exports, never by a path into its src or dist.',
      severity: 'error',
      from: { path: '^(libs/[^/]+|services/[^/]+|deploy/[^/]+|test)/' },
      to: { path: '^(libs|services|deploy|test)/', pathNot: ['^$1/', ...entrances] },
    },
    {
      name: 'no-own-dist',
      comment: 'The source never imports what was built from it.',
      severity: 'error',
      from: {},
      to: { path: String.raw`^(libs|services|deploy)/[^/]+/dist/` },
    },
    {
      name: 'production-knows-no-test',
      comment: 'A test file or a fake is no part of the product.',
      severity: 'error',
      // What a simulation runs is offered to it by a file that is not built either.
      from: { path: '^(libs|services|deploy)/', pathNot: [TEST_FILE, String.raw`/src/simulation\.ts$`] },
      to: { path: [TEST_FILE, '^test/'] },
    },
    {
      name: 'production-knows-no-testing',
      comment: 'libs/testing is for tests and for deploy/local.',
      severity: 'error',
      from: { path: '^(libs|services)/', pathNot: ['^libs/testing/', TEST_FILE] },
      to: { path: '^libs/testing/' },
    },

    // Libraries: foundation <- protocol <- configuration, client; testing above them all.
    {
      name: 'libraries-know-no-services',
      comment: 'Libraries are what services are built on.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(services|deploy|test)/' },
    },
    libraryReaches('foundation'),
    libraryReaches('protocol', 'foundation'),
    libraryReaches('configuration', 'foundation', 'protocol'),
    libraryReaches('client', 'foundation', 'protocol'),
    libraryReaches('provider', 'foundation'),
    {
      name: 'foundation-has-no-dependencies',
      comment: 'Everything rests on the foundation, so it brings nothing along.',
      severity: 'error',
      from: { path: '^libs/foundation/', pathNot: TEST_FILE },
      to: { dependencyTypes: ANY_PACKAGE, path: 'node_modules' },
    },
    {
      name: 'services-know-no-services',
      comment: 'Services meet on the wire, not in code.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },

    // The broker: domain <- app (ports, use cases) <- adapters <- compose <- main.
    {
      name: 'domain-is-pure',
      comment: 'The domain decides; it knows the foundation and the protocol only.',
      severity: 'error',
      from: { path: `${BROKER}/domain/`, pathNot: TEST_FILE },
      to: {
        path: '^(libs|services)/|node_modules',
        pathNot: [`${BROKER}/domain/`, '^libs/(foundation|protocol)/'],
      },
    },
    {
      name: 'app-knows-ports-only',
      comment: 'A use case knows the domain, its ports and the libraries: no adapter, no wiring, no package.',
      severity: 'error',
      from: { path: `${BROKER}/app/`, pathNot: TEST_FILE },
      to: {
        path: '^(libs|services)/|node_modules',
        pathNot: [`${BROKER}/(domain|app)/`, '^libs/(foundation|protocol|configuration|provider)/'],
      },
    },
    ...APP_FLOORS.slice(0, -1).map((rooms, floor) => ({
      name: 'app-rooms-know-no-room-above',
      comment: `Of the broker's use cases, ${rooms.join(' and ')} serve those above and know none of them.`,
      severity: 'error',
      from: { path: `${BROKER}/app/(${rooms.join('|')})/`, pathNot: TEST_FILE },
      to: {
        path: `${BROKER}/app/(${APP_FLOORS.slice(floor + 1)
          .flat()
          .join('|')})(/|[.]ts$)`,
      },
    })),
    {
      name: 'app-knows-the-types-of-the-configuration',
      comment: 'A use case is given parsed configuration; reading it is not its work.',
      severity: 'error',
      from: { path: `${BROKER}/app/`, pathNot: TEST_FILE },
      to: { path: '^libs/configuration/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'domain-and-app-do-no-io',
      comment: 'Files, sockets and processes are behind ports.',
      severity: 'error',
      from: { path: `${BROKER}/(domain|app)/`, pathNot: TEST_FILE },
      to: { dependencyTypes: ['core'], path: IO_OF_NODE },
    },
    {
      name: 'adapters-do-not-know-each-other',
      comment: 'Adapters meet in compose.ts.',
      severity: 'error',
      from: { path: '^services/([^/]+)/src/adapters/([^/]+?)(\\.ts$|/)' },
      to: {
        path: '^services/$1/src/adapters/',
        pathNot: String.raw`^services/$1/src/adapters/$2(\.test)?(\.ts$|/)`,
      },
    },
    {
      name: 'adapters-know-ports-only',
      comment: 'An adapter implements a port, or is handed a use case whose type it names; it makes none.',
      severity: 'error',
      from: { path: `${BROKER}/adapters/`, pathNot: TEST_FILE },
      to: {
        path: `${BROKER}/`,
        pathNot: [`${BROKER}/(adapters|domain)/`, `${BROKER}/app/(ports/|[^/]+/ports/|ports[.]ts$|[^/]+/ports[.]ts$)`],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'only-compose-wires',
      comment:
        'compose.ts (or compose/), main.ts and what simulation.ts offers to tests are the only places that know an adapter.',
      severity: 'error',
      from: {
        path: '^services/([^/]+)/src/',
        pathNot: [
          '^services/[^/]+/src/(adapters|compose)/',
          String.raw`^services/[^/]+/src/(compose|main|simulation)(\.test)?\.ts$`,
        ],
      },
      to: { path: '^services/$1/src/adapters/' },
    },

    // Drivers: each is known to one adapter.
    {
      name: 'nats-stays-in-its-adapter',
      comment:
        'The broker speaks NATS in adapters/nats/ only; tokenctl in its adapters/ or in one file named nats….ts.',
      severity: 'error',
      from: {
        path: '^services/',
        pathNot: [
          `${BROKER}/adapters/nats/`,
          '^services/(?!broker/)[^/]+/src/adapters/',
          String.raw`^services/(?!broker/).+/nats[^/]*\.ts$`,
        ],
      },
      to: { path: NATS_PACKAGES },
    },
    {
      name: 'libraries-know-no-nats',
      comment: 'The client takes a connection of any NATS library through a structural interface.',
      severity: 'error',
      from: { path: '^libs/', pathNot: ['^libs/testing/', TEST_FILE] },
      to: { path: NATS_PACKAGES },
    },
    {
      name: 'redis-stays-in-its-adapter',
      comment: 'ioredis and redlock are known to adapters/redis/ only.',
      severity: 'error',
      from: { path: '^(libs|services)/', pathNot: ['^libs/testing/', `${BROKER}/adapters/redis/`] },
      to: { path: REDIS_PACKAGES },
    },
    {
      name: 'upstreams-stay-in-their-adapter',
      comment: 'OAuth, AWS and HTTP clients are known to adapters/providers/ and adapters/http/ only.',
      severity: 'error',
      from: { path: '^(libs|services)/', pathNot: ['^libs/testing/', `${BROKER}/adapters/(providers|http)/`] },
      to: { path: UPSTREAM_PACKAGES },
    },
    {
      name: 'traces-stay-in-their-adapter',
      comment:
        'OpenTelemetry is known to one adapter of the broker, as a type or by a dynamic import; clients are given it.',
      severity: 'error',
      from: {
        path: '^(libs|services)/',
        pathNot: [String.raw`${BROKER}/adapters/telemetry/open-telemetry\.ts$`, TEST_FILE],
      },
      to: { path: TRACING_PACKAGES },
    },
    {
      name: 'traces-are-loaded-where-they-are-wanted',
      comment: 'Whoever does without OpenTelemetry does not have it.',
      severity: 'error',
      from: { path: '^(libs|services)/', pathNot: TEST_FILE },
      to: { path: TRACING_PACKAGES, dependencyTypesNot: ['type-only', 'dynamic-import'] },
    },
  ],
  options: {
    doNotFollow: { path: String.raw`(^|/)(node_modules|dist)/` },
    exclude: { path: String.raw`\.(json|lua)$` },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['token-broker:source', 'import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
