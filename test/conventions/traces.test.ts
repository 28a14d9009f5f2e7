import { homedir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { ROOT, readText, trackedFiles } from './repository.js';

/** Files that hold text; a picture may hold any bytes. */
const texts = trackedFiles.filter((file) => !/\.(png|jpe?g|gif|ico|woff2?|gz|tgz|bin)$/.test(file));

const TRACES: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: 'the home folder of somebody', pattern: /(^|[^\w./-])\/(home|Users)\/[\w.-]+/ },
  { what: 'the home folder of root', pattern: /(^|[^\w./-])\/[r]oot(?![\w.-])/ },
  { what: 'a Windows home folder', pattern: /\b[A-Z]:\\+Users\\/ },
  { what: 'the host of a package registry', pattern: /\bregistry\.(npmjs|yarnpkg|npmmirror)\b/ },
  { what: 'the address of a package registry', pattern: /https?:\/\/[^\s/"'`]*(registry|artifactory|nexus|npmjs)\b/ },
  { what: 'a registry setting', pattern: /^\s*(@[\w-]+:)?registry\s*=/ },
];

function linesWith(pattern: RegExp): string[] {
  return texts.flatMap((file) =>
    readText(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );
}

function literally(text: string): RegExp {
  return new RegExp(`${text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}(?![\\w-])`);
}

describe('traces of one machine', () => {
  it.each([
    ['the home folder of somebody', `path: ${['', 'home', 'ada', 'project'].join('/')}`],
    ['the home folder of somebody', `"${['', 'Users', 'ada'].join('/')}"`],
    ['the home folder of root', `cd ${['', 'root', '.cache'].join('/')}`],
    ['the host of a package registry', ['registry', 'npmjs', 'org'].join('.')],
    ['the address of a package registry', ['https:', '', 'npm.registry.example', 'left-pad.tgz'].join('/')],
    ['a registry setting', ['registry', 'x'].join(' = ')],
  ])('would be found: %s in %s', (what, line) => {
    const matching = TRACES.filter((trace) => trace.pattern.test(line)).map((trace) => trace.what);
    expect(matching).toContain(what);
  });

  it.each(TRACES)('are absent: $what', ({ pattern }) => {
    expect(linesWith(pattern)).toEqual([]);
  });

  it('are absent: the folder of this checkout and of this user', () => {
    // A folder with one part, such as that of a container, is no trace of a person.
    const folders = [ROOT, homedir()].filter((folder) => folder.split('/').length > 2);
    expect(folders.flatMap((folder) => linesWith(literally(folder)))).toEqual([]);
  });
});
