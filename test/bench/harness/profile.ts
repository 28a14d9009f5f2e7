import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a program spent its processor time, by function: the functions that took most of it, by themselves. */
export interface SelfTime {
  /** `name file:line`. */
  readonly where: string;
  /** Of the time that the program was not idle. */
  readonly share: number;
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
}

const IDLE = new Set(['(idle)', '(program)', '(root)']);

export function selfTimes(profile: CpuProfile, most: number): SelfTime[] {
  const nameOf = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      url === '' ? functionName : `${functionName || '(anonymous)'} ${placeOf(url)}:${String(lineNumber + 1)}`,
    ]),
  );
  // Samples are counted, not the time between them: that includes the time for which other programs had the processor.
  const samples = new Map<string, number>();
  let busy = 0;
  for (const id of profile.samples) {
    const name = nameOf.get(id) ?? '';
    if (IDLE.has(name)) continue;
    busy++;
    samples.set(name, (samples.get(name) ?? 0) + 1);
  }
  return [...samples]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([where, count]) => ({ where, share: count / busy }));
}

/** The last parts of a path: what is before them is this machine's own. */
function placeOf(url: string): string {
  if (!url.startsWith('file:')) return url;
  return fileURLToPath(url).split('/').slice(-3).join('/');
}

/** The profiles of a directory and those below it, as text. */
export async function profilesText(directory: string, most = 15): Promise<string> {
  const files = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith('.cpuprofile')).sort();
  const texts = await Promise.all(
    files.map(async (file) => {
      const profile = JSON.parse(await readFile(join(directory, file), 'utf8')) as CpuProfile;
      const lines = selfTimes(profile, most).map(
        ({ where, share }) => `  ${(share * 100).toFixed(1).padStart(5)} %  ${where}`,
      );
      return [file, ...lines].join('\n');
    }),
  );
  return texts.join('\n');
}
