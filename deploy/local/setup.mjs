// Makes a fresh clone ready for `npm start` (default) or `npm test` (`--test`): dependencies, build, servers.
// Plain JavaScript with no dependency, since it runs before anything is installed. Speaks on standard error only, and
// only when it does something: standard output belongs to the program that comes after it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const OLDEST_NODE = [20, 19];
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MODULES = join(ROOT, 'node_modules');
/** What was done last, and for which state of the sources. In `node_modules`, so that it goes when they go. */
const STAMP_FILE = join(MODULES, '.cache', 'token-broker-setup.json');

/** Writes the programs as they are shipped, after the compiler has checked what they are made of. */
const BUNDLER = 'services/bundle.mjs';

/**
 * @typedef {object} Stamp
 * @property {string} [installed] fingerprint of the manifests that `node_modules` was installed from
 * @property {Record<string, string>} [built] fingerprint of the sources at the last build, by build target
 */

/** @param {string} line */
function report(line) {
  process.stderr.write(`setup: ${line}\n`);
}

/** A step that failed for a reason that a person can act on. */
class SetupError extends Error {}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new SetupError(`Node ${OLDEST_NODE.join('.')} or newer is needed; this is ${process.versions.node}`);
}

/** @returns {Stamp} */
function readStamp() {
  try {
    return JSON.parse(readFileSync(STAMP_FILE, 'utf8'));
  } catch {
    return {};
  }
}

/** @param {Stamp} stamp */
function writeStamp(stamp) {
  mkdirSync(join(MODULES, '.cache'), { recursive: true });
  const unfinished = `${STAMP_FILE}.${String(process.pid)}`;
  writeFileSync(unfinished, JSON.stringify(stamp));
  renameSync(unfinished, STAMP_FILE);
}

/**
 * Runs a Node program quietly; what it printed is shown only where it fails.
 *
 * @param {string} what for the error
 * @param {string} file
 * @param {string[]} args
 */
function run(what, file, args) {
  const environment = { ...process.env };
  // Started from `npm --workspace …`, npm would pass its own choice of workspaces on.
  for (const name of Object.keys(environment)) {
    if (/^npm_config_(workspaces?|json|silent|loglevel)$/i.test(name)) delete environment[name];
  }
  const { error, status, signal, stdout, stderr } = spawnSync(file, args, {
    cwd: ROOT,
    env: environment,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  const reason = error?.message ?? (signal === null ? `exit code ${String(status)}` : `ended by ${signal}`);
  throw new SetupError(`${what} failed: ${reason}`);
}

/** The folders of the workspaces, from the `workspaces` of package.json: a path, or a path that ends with `/*`. */
function workspaceFolders() {
  /** @type {{ workspaces: string[] }} */
  const { workspaces } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return workspaces
    .flatMap((pattern) => {
      if (!pattern.endsWith('/*')) return [pattern];
      const parent = pattern.slice(0, -2);
      return existsSync(join(ROOT, parent)) ? readdirSync(join(ROOT, parent)).map((name) => `${parent}/${name}`) : [];
    })
    .filter((folder) => existsSync(join(ROOT, folder, 'package.json')))
    .sort();
}

/** @param {string[]} folders */
function manifestsFingerprint(folders) {
  const hash = createHash('sha256').update(process.versions.node.split('.', 1)[0] ?? '');
  for (const file of ['package-lock.json', 'package.json', ...folders.map((folder) => `${folder}/package.json`)]) {
    hash.update(`\0${file}\0`).update(readFileSync(join(ROOT, file)));
  }
  return hash.digest('hex');
}

/**
 * Whether all that package-lock.json names is there in that version, as after an `npm install` by hand.
 */
function isInstalledByHand() {
  if (!existsSync(MODULES)) return false;
  /** @type {{ packages: Record<string, { version?: string, link?: boolean, optional?: boolean, devOptional?: boolean }> }} */
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  return Object.entries(packages).every(([path, { version, link, optional, devOptional }]) => {
    if (path === '') return true;
    const manifest = join(ROOT, path, 'package.json');
    if (!existsSync(manifest)) return optional === true || devOptional === true;
    return link === true || JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  });
}

/**
 * @param {Stamp} stamp
 * @param {string[]} folders
 */
function install(stamp, folders) {
  const installed = manifestsFingerprint(folders);
  if (stamp.installed === installed && existsSync(MODULES)) return;
  if (isInstalledByHand()) {
    writeStamp({ ...stamp, installed });
    return;
  }
  report('installing the dependencies (npm ci)');
  const args = ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--include=dev'];
  const npm = process.env['npm_execpath'];
  if (npm !== undefined && /npm-cli\.c?js$/.test(npm)) run('npm ci', process.execPath, [npm, ...args]);
  else run('npm ci', 'npm', args);
  writeStamp({ installed });
}

/**
 * Names, sizes and times of all that is built, and of what builds it: a hundred times faster than asking the compiler.
 *
 * @param {string[]} folders
 */
function sourcesFingerprint(folders) {
  const hash = createHash('sha256');
  /** @param {string} path */
  const add = (path) => {
    const { mtimeMs, size } = statSync(join(ROOT, path));
    hash.update(`${path}\0${String(mtimeMs)}\0${String(size)}\n`);
  };
  /** @param {string} folder */
  const walk = (folder) => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules' && entry.name !== 'dist') walk(path);
      } else if (/\.([cm]?tsx?|mjs|json)$/.test(entry.name)) add(path);
    }
  };
  for (const file of readdirSync(ROOT)) if (/^(tsconfig.*|package-lock)\.json$/.test(file)) add(file);
  add(BUNDLER);
  for (const folder of folders) walk(folder);
  return hash.digest('hex');
}

/**
 * @param {string[]} folders
 * @param {boolean} everything whether the tests are built too
 */
function build(folders, everything) {
  const target = everything ? 'all' : 'start';
  const stamp = readStamp();
  const sources = sourcesFingerprint(folders);
  const built = stamp.built ?? {};
  const isThere =
    folders.every((folder) => folder === 'test' || existsSync(join(ROOT, folder, 'dist'))) &&
    ['broker', 'tokenctl'].every((name) => existsSync(join(ROOT, 'services', name, 'bundle/LICENSES.txt')));
  if (isThere && (built['all'] === sources || built[target] === sources)) return;
  report('building');
  const compiler = join(MODULES, 'typescript', 'bin', 'tsc');
  run('the build', process.execPath, [compiler, '-b', ...(everything ? [] : ['deploy/local'])]);
  run('the bundles', process.execPath, [join(ROOT, BUNDLER)]);
  writeStamp({ ...stamp, built: { ...built, [target]: sources } });
}

/** @param {boolean} everything whether those of the tests are meant too */
async function ensureServers(everything) {
  /** @type {{ ensureServers(report: (line: string) => void, names?: string[]): Promise<void> }} */
  const testing = await import(pathToFileURL(join(ROOT, 'libs/testing/dist/index.js')).href);
  await testing.ensureServers(report, everything ? ['nats-server', 'redis-server', 'prometheus'] : undefined);
}

try {
  checkNode();
  const unknown = process.argv.slice(2).filter((argument) => argument !== '--test');
  if (unknown.length > 0) throw new SetupError(`unknown argument ${unknown.join(' ')}; only --test is known`);
  const folders = workspaceFolders();
  install(readStamp(), folders);
  const everything = process.argv.includes('--test');
  build(folders, everything);
  await ensureServers(everything);
} catch (error) {
  // A defect of this file deserves its stack; what a person can act on does not.
  const expected = error instanceof SetupError || (error instanceof Error && error.name === 'ServerUnavailableError');
  report(expected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
}
