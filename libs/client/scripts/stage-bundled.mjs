/**
 * Before `npm pack`: copies the packages that travel inside the tarball to where npm looks for them, since a workspace
 * links them from the root instead. With `--remove`, after it: takes the copies away again.
 */
import { cpSync, existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const home = dirname(dirname(fileURLToPath(import.meta.url)));
const { bundleDependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
const scope = join(home, 'node_modules', '@token-broker');

rmSync(scope, { recursive: true, force: true });
if (process.argv.includes('--remove')) {
  try {
    rmdirSync(dirname(scope));
  } catch {
    // There is none, or it holds what is not ours.
  }
} else {
  for (const name of bundleDependencies) {
    const source = join(dirname(home), basename(name));
    if (!existsSync(join(source, 'dist/index.js'))) {
      console.error(`${name} is not built: run "npm run build" first`);
      process.exit(1);
    }
    const target = join(scope, basename(name));
    for (const part of ['package.json', 'dist', 'LICENSE'])
      if (existsSync(join(source, part))) cpSync(join(source, part), join(target, part), { recursive: true });
  }
}
