import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { bundledModules, bundleOf, packageOf, sourcesOf } from './bundled-sources.js';

const run = promisify(execFile);

it('has the code of every kind of provider, and each can be loaded', async () => {
  const providers = (await bundledModules('broker')).filter((file) => /-provider-[^/]*\.js$/.test(file));
  const kinds = providers.map((file) => basename(file).replace(/-provider-.*$/, ''));
  expect(kinds.sort()).toEqual([
    ...['aws-rds-iam', 'aws-sts', 'azure-workload-identity', 'exec', 'github-app', 'google-workload-identity'],
    ...['oauth2', 'own', 'static', 'vault'],
  ]);
  const urls = providers.map((file) => pathToFileURL(file).href);
  const script = `for (const url of ${JSON.stringify(urls)}) console.log(Object.keys(await import(url)).join());`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  const exported = stdout.trim().split('\n');
  expect(exported).toHaveLength(providers.length);
  for (const names of exported) expect(names).toMatch(/^(create\w+Provider|loadOwnProvider)$/);
});

it.each([
  ['broker', ['nats', 'ioredis', 'zod', '@aws-sdk/client-sts', 'undici']],
  ['tokenctl', ['nats', 'commander', 'zod']],
] as const)('says of each package of others in %s under which licence it is', async (program, some) => {
  const modules = await bundledModules(program);
  const sources = (await Promise.all(modules.map((file) => sourcesOf(pathToFileURL(file).href)))).flat();
  const packages = [...new Set(sources.flatMap(packageOf))];
  expect(packages).toEqual(expect.arrayContaining([...some]));
  const licences = await readFile(`${bundleOf(program)}LICENSES.txt`, 'utf8');
  const named = [...licences.matchAll(/^((?:@[a-z-]+\/)?[\w.-]+) \d[\w.-]+ \([\w. -]+\)$/gm)].map(([, name]) => name);
  expect(packages.filter((name) => !named.includes(name))).toEqual([]);
});

it('needs nothing beside the bundle of tokenctl but its manifest', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tokenctl-'));
  try {
    await cp(bundleOf('tokenctl'), join(home, 'bundle'), { recursive: true });
    await cp(join(bundleOf('tokenctl'), '../package.json'), join(home, 'package.json'));
    const { stdout } = await run(process.execPath, [join(home, 'bundle/main.js'), '--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  } finally {
    await rm(home, { recursive: true });
  }
});
