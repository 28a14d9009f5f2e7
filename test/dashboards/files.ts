import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Dashboard } from './model/dashboard.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DASHBOARD_DIRECTORY = join(ROOT, 'deploy/grafana/dashboards');
export const PROMETHEUS_DIRECTORY = join(ROOT, 'deploy/prometheus');

/** A recording rule, or an alert. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function fileOf({ uid }: Dashboard): string {
  return join(DASHBOARD_DIRECTORY, `${uid}.json`);
}

/** The rule files, absolute. */
export async function ruleFiles(): Promise<string[]> {
  return yamlFilesOf('rules');
}

/** The files of `promtool test rules`, absolute. */
export async function ruleTestFiles(): Promise<string[]> {
  return yamlFilesOf('tests');
}

export async function readRules(): Promise<Rule[]> {
  const files = await ruleFiles();
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return texts.flatMap((text) =>
    (parse(text) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] }).groups.flatMap(
      ({ rules }) => rules,
    ),
  );
}

async function yamlFilesOf(directory: string): Promise<string[]> {
  const names = await readdir(join(PROMETHEUS_DIRECTORY, directory));
  return names.filter((name) => name.endsWith('.yml')).map((name) => join(PROMETHEUS_DIRECTORY, directory, name));
}
