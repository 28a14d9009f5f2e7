import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startNats } from '@token-broker/testing';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DOCKERFILES = ['deploy/broker.Dockerfile', 'deploy/local/local.Dockerfile'];

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: unknown;
  readonly read_only?: boolean;
  readonly ports?: readonly string[];
  readonly user?: string;
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

describe('docker-compose.yml', () => {
  const file = parse(read('docker-compose.yml'), { merge: true }) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, null>>;
  };
  const services = Object.entries(file.services);

  it('has three brokers, four sample services, NATS, Redis, the OpenID provider, Prometheus, Grafana and a set-up', () => {
    expect(Object.keys(file.services)).toEqual(
      expect.arrayContaining([
        ...['setup', 'nats', 'redis', 'identity-provider', 'broker-1', 'broker-2', 'broker-3'],
        ...['orders', 'billing', 'shipping', 'reports', 'tokenctl', 'prometheus', 'grafana'],
      ]),
    );
  });

  it('has no name and no secrets section: docker-compose 1.29 refuses the one, and files make the other needless', () => {
    expect(Object.keys(file)).not.toContain('name');
    expect(Object.keys(file)).not.toContain('secrets');
  });

  it.each(services)('%s: the image is pinned by its exact version, or built here', (_name, { image, build }) => {
    expect(image).toMatch(/^[a-z/-]+:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?$/);
    if (build !== undefined) expect(existsSync(join(ROOT, build.context, build.dockerfile))).toBe(true);
  });

  it.each(services)('%s: what it runs has a source here', (_name, { build, command = [], entrypoint = [] }) => {
    const programs = [...entrypoint, ...command].filter((word) => word.startsWith('/app/'));
    if (build?.dockerfile === 'deploy/local/local.Dockerfile') expect(programs.length).toBeGreaterThan(0);
    for (const program of programs) {
      expect(existsSync(join(ROOT, program.replace('/app/', '').replace('/dist/', '/src/').replace(/js$/, 'ts')))).toBe(
        true,
      );
    }
  });

  it.each(services)('%s: its volumes and those it waits for exist, and can be waited for', (name, service) => {
    for (const [source = '', , mode] of (service.volumes ?? []).map((volume) => volume.split(':'))) {
      if (source.startsWith('./')) expect([existsSync(join(ROOT, source)), mode], source).toEqual([true, 'ro']);
      else expect(Object.keys(file.volumes)).toContain(source);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const awaited = file.services[other];
      expect(awaited, `${name} waits for ${other}`).toBeDefined();
      const isChecked = awaited?.healthcheck !== undefined || awaited?.build?.dockerfile === 'deploy/broker.Dockerfile';
      if (condition === 'service_healthy') expect(isChecked, other).toBe(true);
    }
  });

  it.each(services)('%s: cannot write to its image, and is reached from this machine only', (_name, service) => {
    expect(service.read_only).toBe(true);
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('mounts the secrets of each reader into that reader and the set-up only', () => {
    for (const volume of Object.keys(file.volumes).filter((each) => each.endsWith('-files'))) {
      const readers = services
        .filter(([, { volumes = [] }]) => volumes.some((mount) => mount.startsWith(`${volume}:`)))
        .map(([name]) => name.replace(/^broker-\d$/, 'broker').replace('tokenctl', 'ops'));
      expect(new Set(readers), volume).toEqual(new Set(['setup', volume.replace(/-files$/, '')]));
    }
  });

  it('has Prometheus scrape every broker, and Grafana read that Prometheus and the committed dashboards', () => {
    const { scrape_configs: scraped } = parse(read('deploy/prometheus/prometheus.yml')) as {
      scrape_configs: { static_configs: { targets: string[] }[] }[];
    };
    const targets = scraped.flatMap((job) => job.static_configs.flatMap((each) => each.targets));
    const brokers = Object.keys(file.services).filter((name) => name.startsWith('broker-'));
    expect(targets).toEqual(brokers.map((name) => `${name}:9464`));
    const { datasources } = parse(read('deploy/grafana/provisioning/datasources/prometheus.yml')) as {
      datasources: { url: string }[];
    };
    expect(datasources.map(({ url }) => url)).toEqual(['http://prometheus:9090']);
    const { providers } = parse(read('deploy/grafana/provisioning/dashboards/token-broker.yml')) as {
      providers: { options: { path: string } }[];
    };
    const mounted = providers.map(({ options }) => `./deploy/grafana/dashboards:${options.path}:ro`);
    expect(file.services['grafana']?.volumes).toEqual(expect.arrayContaining(mounted));
  });

  it('holds no secret', () => {
    for (const [, { environment = {} }] of services)
      for (const name of Object.keys(environment)) expect(name).not.toMatch(/(PASSWORD|SECRET|KEY|TOKEN)$/);
  });
});

describe.each(DOCKERFILES)('%s', (path) => {
  const lines = read(path)
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const copies = lines
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1));

  it('starts from images that are pinned by their exact version', () => {
    const bases = lines.filter((line) => line.startsWith('FROM '));
    expect(bases.length).toBe(2);
    for (const base of bases) expect(base).toMatch(/^FROM node:\d+\.\d+\.\d+-bookworm-slim( AS build)?$/);
  });

  it('copies what is there, and what .dockerignore lets through', () => {
    expect(copies.length).toBeGreaterThan(4);
    const let_ = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'));
    for (const source of copies) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(
        let_.some((rule) => source === rule.slice(1) || source.startsWith(`${rule.slice(1)}/`)),
        source,
      ).toBe(true);
    }
  });

  it('has the manifest of every workspace, since npm ci refuses a lock that does not match', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
    const folders = Object.keys(packages).filter((folder) => folder !== '' && !folder.includes('node_modules/'));
    expect(folders.length).toBeGreaterThan(5);
    for (const folder of folders) {
      const manifest = `${folder}/package.json`;
      expect(
        copies.some((source) => manifest === source || manifest.startsWith(`${source}/`)),
        manifest,
      ).toBe(true);
    }
  });

  it('runs as nobody special, ends by SIGTERM, and holds no secret', () => {
    expect(lines).toContain('USER node');
    expect(lines).toContain('STOPSIGNAL SIGTERM');
    expect(lines.filter((line) => /^(ARG|ENV) \w*(PASSWORD|SECRET|KEY|TOKEN)/.test(line))).toEqual([]);
  });
});

describe('deploy/broker.Dockerfile', () => {
  it('takes along every library that the broker needs', () => {
    const { dependencies } = JSON.parse(read('services/broker/package.json')) as {
      dependencies: Record<string, string>;
    };
    const needed = Object.keys(dependencies)
      .filter((name) => name.startsWith('@token-broker/'))
      .map((name) => `libs/${name.replace('@token-broker/', '')}`);
    const taken = [...read('deploy/broker.Dockerfile').matchAll(/^COPY --from=build \/app\/(libs\/\S+)/gm)];
    expect(taken.map(([, folder]) => folder).sort()).toEqual(needed.sort());
  });

  it('checks its health where the broker answers', () => {
    expect(read('deploy/broker.Dockerfile')).toMatch(/HEALTHCHECK[\s\S]*\/livez|\/livez[\s\S]*HEALTHCHECK/);
    expect(readdirSync(join(ROOT, 'services/broker/src/adapters/http'))).toContain('http-server.ts');
    expect(read('services/broker/src/adapters/http/http-server.ts')).toContain("'/livez'");
  });
});

describe('the examples for NATS', () => {
  const secrets = {
    ...{
      NATS_PASSWORD_BROKER: 'a',
      NATS_PASSWORD_BROKER_EVENTS: 'b',
      REDIS_PASSWORD: 'c',
      PAYMENTS_CLIENT_SECRET: 'd',
    },
    TOKEN_BROKER_KEY: Buffer.alloc(32, 7).toString('base64'),
  };

  it('hold the users that tokenctl makes of the example configuration', () => {
    const program = join(ROOT, 'services/tokenctl/dist/main.js');
    const printed = execFileSync(process.execPath, [program, 'nats-permissions', 'deploy/broker.yaml'], {
      cwd: ROOT,
      env: { ...process.env, ...secrets },
      encoding: 'utf8',
    });
    const committed = read('deploy/nats/authorization.conf').replaceAll(/^#.*\n/gm, '');
    expect(committed).toBe(printed);
  });

  it('have settings that nats-server takes', async () => {
    // Without what needs certificates, a network, or is given by the launcher.
    const settings = read('deploy/nats/nats-server.conf')
      .replaceAll(/^#.*\n/gm, '')
      .replaceAll(/^(tls|cluster) \{\n[\s\S]*?^\}\n/gm, '')
      .replaceAll(/^(listen|http|include).*\n/gm, '');
    expect(settings).toMatch(/max_payload/);
    expect(settings).not.toMatch(/[{}]/);
    const nats = await startNats({ configText: settings });
    await nats.stop();
  });
});
