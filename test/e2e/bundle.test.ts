import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { BUNDLE, bundledModules, packageOf, sourcesOf } from './bundled-sources.js';

const run = promisify(execFile);

it('has the code of every kind of provider, and each can be loaded', async () => {
  const providers = (await bundledModules()).filter((file) => /-provider-[^/]*\.js$/.test(file));
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

it('says of each package of others in it under which licence it is', async () => {
  const sources = (
    await Promise.all((await bundledModules()).map((file) => sourcesOf(pathToFileURL(file).href)))
  ).flat();
  const packages = [...new Set(sources.flatMap(packageOf))];
  expect(packages).toEqual(expect.arrayContaining(['nats', 'ioredis', 'zod', '@aws-sdk/client-sts', 'undici']));
  const licences = await readFile(`${BUNDLE}LICENSES.txt`, 'utf8');
  const named = [...licences.matchAll(/^((?:@[a-z-]+\/)?[\w.-]+) \d[\w.-]+ \([\w. -]+\)$/gm)].map(([, name]) => name);
  expect(packages.filter((name) => !named.includes(name))).toEqual([]);
});
