import { parseArgs } from 'node:util';
import { measureLoading, type Start } from './loading-figures.js';

/**
 * Measures what the code of each kind of provider costs a broker, on real servers on this machine, which runs Linux:
 *
 *   npm run figures:providers -- [--rounds 5]
 *
 * Prints a table with medians. Progress goes to standard error where that is a terminal.
 */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });

const starts = await measureLoading(Number(values.rounds), progress);
progress('');
console.log('| provider      | ready after | first credential | processor time | memory |');
console.log('| ------------- | ----------- | ---------------- | -------------- | ------ |');
for (const [kind, ofKind] of starts) {
  const median = (figure: keyof Start): string => {
    const sorted = ofKind.map((start) => start[figure]).sort((a, b) => a - b);
    return String(Math.round(sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN));
  };
  const cells = [
    `\`${kind}\``.padEnd(13),
    `${median('readyMs')} ms`.padEnd(11),
    `${median('firstMs')} ms`.padEnd(16),
    `${median('cpuMs')} ms`.padEnd(14),
    `${median('memoryMb')} MB`.padEnd(6),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
// What a library may have left open must not keep this process: everything that was started has been stopped.
process.exit(0);

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
