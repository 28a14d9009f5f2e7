import { describe, expect, it } from 'vitest';
import { workspaces } from './repository.js';

const importable = workspaces.filter(({ manifest }) => manifest.exports?.['.'] !== undefined);

describe('tests', () => {
  it.each(importable)('run the source of $manifest.name, not what was built from it', ({ folder, manifest }) => {
    expect(import.meta.resolve(manifest.name)).toContain(`/${folder}/src/index.ts`);
  });
});
