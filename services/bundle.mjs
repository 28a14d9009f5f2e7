/**
 * Writes what is shipped, into `bundle` of each program: the program with all that it imports, as one file, and one more for
 * each thing that is imported when it is used. Node.js takes longer to find, read and link hundreds of modules than to run
 * them. Needs no build; types are the compiler's business.
 *
 *   node services/bundle.mjs [broker] [tokenctl]
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const SERVICES = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;

/** Packages in CommonJS ask for modules of Node.js by a `require`, which a module has not of itself. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;

/**
 * The broker speaks to the OpenTelemetry API of whoever started the process, in the version that came with the SDK; only what
 * another package requires of it, and cannot do without, comes along.
 *
 * @type {import('esbuild').Plugin}
 */
const tracingStaysOutside = {
  name: 'the API of tracing stays outside',
  setup({ onResolve }) {
    onResolve({ filter: /^@opentelemetry\/api$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};

/** @type {Readonly<Record<string, import('esbuild').Plugin[]>>} */
const PROGRAMS = { broker: [tracingStaysOutside], tokenctl: [] };

const chosen = process.argv.slice(2);
for (const name of chosen.length === 0 ? Object.keys(PROGRAMS) : chosen) await bundle(name);

/** @param {string} name */
async function bundle(name) {
  const plugins = PROGRAMS[name];
  if (plugins === undefined) throw new Error(`there is no program ${name}, but ${Object.keys(PROGRAMS).join(' and ')}`);
  const output = join(SERVICES, name, 'bundle');
  await rm(output, { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: [join(SERVICES, name, 'src/main.ts')],
    outdir: output,
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    conditions: ['token-broker:source'],
    banner: { js: REQUIRE },
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    plugins,
    logLevel: 'warning',
  });
  await writeFile(join(output, 'LICENSES.txt'), await licencesOf(Object.keys(metafile.inputs)));
}

/**
 * Name, version and licence of each package of others that is in the bundle: most licences ask for it.
 *
 * @param {string[]} files
 */
async function licencesOf(files) {
  const folders = files.flatMap((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []);
  const texts = await Promise.all([...new Set(folders)].sort().map(licenceOf));
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

/** @param {string} folder */
async function licenceOf(folder) {
  const path = join(ROOT, folder);
  /** @type {{ name: string, version: string, license?: string }} */
  const { name, version, license } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8'));
  if (license === undefined) throw new Error(`${relative(ROOT, path).split(sep).join('/')} names no licence`);
  const names = (await readdir(path)).filter((file) => LICENCE_FILE.test(file)).sort();
  const texts = await Promise.all(names.map((file) => readFile(join(path, file), 'utf8')));
  return [`${name} ${version} (${license})\n`, ...texts].join('\n');
}
