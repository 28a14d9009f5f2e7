/**
 * Sums up a run of the tests: `node .ci/test-report.mjs RESULTS SKIPPED`, where RESULTS was written by vitest's json
 * reporter and SKIPPED is the committed list of the tests that may be skipped.
 *
 * Prints each skipped test with its reason. Exits with 1 when a test failed, when none ran, or when one was skipped that
 * is not in the list: a suite that quietly runs less than it did is worse than one that fails.
 */
import { readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';

const SKIPPED_STATES = new Set(['skipped', 'pending', 'todo', 'disabled']);

const [resultsFile, skippedFile] = process.argv.slice(2);
if (resultsFile === undefined || skippedFile === undefined) {
  console.error('usage: test-report.mjs RESULTS SKIPPED');
  process.exit(2);
}

const { testResults } = JSON.parse(readFileSync(resultsFile, 'utf8'));
const allowed = new Map(
  JSON.parse(readFileSync(skippedFile, 'utf8')).skipped.map(({ file, test, reason }) => [`${file} > ${test}`, reason]),
);

const tests = testResults.flatMap(({ name, assertionResults }) =>
  assertionResults.map(({ ancestorTitles, title, status }) => ({
    id: `${relative(process.cwd(), name).split(sep).join('/')} > ${[...ancestorTitles, title].filter(Boolean).join(' ')}`,
    status,
  })),
);
// A file that could not be loaded, or whose hooks failed, fails without a test of its own.
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
);

const skipped = tests.filter(({ status }) => SKIPPED_STATES.has(status));
const unlisted = skipped.filter(({ id }) => !allowed.has(id));
const failed = tests.filter(({ status }) => status === 'failed');
const passed = tests.filter(({ status }) => status === 'passed');

for (const { id } of skipped) console.log(`skipped: ${id}: ${allowed.get(id) ?? 'NOT IN THE COMMITTED LIST'}`);
for (const { id } of failed) console.log(`failed: ${id}`);
for (const { name } of brokenFiles) console.log(`failed: ${relative(process.cwd(), name)} as a whole`);

if (unlisted.length > 0) console.log(`${unlisted.length} skipped, but not in ${skippedFile}`);
if (passed.length === 0) console.log('No test has passed.');
console.log(`${passed.length} passed, ${failed.length + brokenFiles.length} failed, ${skipped.length} skipped`);

const good = unlisted.length === 0 && failed.length === 0 && brokenFiles.length === 0 && passed.length > 0;
process.exitCode = good ? 0 : 1;
