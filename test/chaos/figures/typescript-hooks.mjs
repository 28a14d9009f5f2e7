import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

// Loads TypeScript as newer versions of Node do by themselves: types are taken away, nothing is checked. Imports name the
// file that a build would make. What was made of a file is kept, so that the many processes of a test start quickly.

const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/run-typescript/', import.meta.url));

export function resolve(specifier, context, next) {
  const isSource = /^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts') === true;
  return next(isSource ? specifier.replace(/\.js$/, '.ts') : specifier, context);
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const text = await readFile(new URL(url), 'utf8');
  return { format: 'module', source: await stripped(text), shortCircuit: true };
}

async function stripped(text) {
  const path = `${CACHE}${createHash('sha256').update(text).digest('hex')}.mjs`;
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known !== undefined) return known;
  const { default: ts } = await import('typescript');
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
  });
  await mkdir(CACHE, { recursive: true });
  // Renamed into place, since other processes may be reading.
  await writeFile(`${path}.${process.pid}`, outputText);
  await rename(`${path}.${process.pid}`, path);
  return outputText;
}
