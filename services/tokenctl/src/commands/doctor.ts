import { loadConfiguration } from '@token-broker/configuration';
import { Command } from 'commander';
import { toCommandFailure, usageFailure } from '../command-failure.js';
import type { ConnectionSettings, GlobalOptions } from '../connection-settings.js';
import { loaderFindings, transportFindings } from '../doctor/configuration-findings.js';
import { problem, type Examination } from '../doctor/finding.js';
import { permissionFindings } from '../doctor/permission-findings.js';
import { reachFindings } from '../doctor/reach-findings.js';
import { secretFindings } from '../doctor/secret-findings.js';
import { brokerFindings, sourceFindings } from '../doctor/status-findings.js';
import { EXIT } from '../exit-codes.js';
import { examples, type Invocation } from '../invocation.js';
import { once } from '../option-parsers.js';
import { renderExaminations } from '../output/doctor-page.js';
import type { Door } from '../surroundings.js';

interface DoctorOptions {
  readonly config?: string;
}

/** `doctor`: looks for what goes wrong later. */
export function doctorCommand(invocation: Invocation): Command {
  return new Command('doctor')
    .summary('look for what is wrong, or will be')
    .description(
      'Looks at the brokers, Redis, NATS permissions and sources, and with --config at the configuration of this machine: weak or readable secrets, missing TLS, servers that cannot be reached from here. It changes nothing. Each finding says what, why, and what to do. Ends with 1 where there is a problem; warnings alone end with 0.',
    )
    .option('--config <file>', 'also a broker’s configuration file, with its environment', once)
    .addHelpText('after', examples('tokenctl doctor', 'tokenctl doctor --config /etc/token-broker/broker.yaml --json'))
    .action(async ({ config }: DoctorOptions, command: Command) => {
      const examinations = [
        ...(config === undefined ? [] : await ofConfiguration(invocation, command, config)),
        ...(await ofBrokers(invocation, command, config !== undefined)),
      ];
      const found = examinations.flatMap(({ findings }) => findings);
      const problems = found.filter(({ severity }) => severity === 'problem').length;
      const result = { v: 1, problems, warnings: found.length - problems, examinations };
      invocation.printer(command).result(result, (style) => renderExaminations(examinations, style));
      if (problems > 0) invocation.exitCode = EXIT.failed;
    });
}

async function ofConfiguration(invocation: Invocation, command: Command, path: string): Promise<Examination[]> {
  const { surroundings } = invocation;
  const { timeout } = command.optsWithGlobals<GlobalOptions>();
  let file: { readonly text: string; readonly mode: number };
  try {
    file = { text: await surroundings.readFile(path), mode: await surroundings.modeOf(path) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw usageFailure(`--config: the file ${path} cannot be read (${code})`, 'Check the path and who may read it.');
  }
  const loaded = await loadConfiguration(path, { env: surroundings.env });
  if (!loaded.ok) return [{ what: 'configuration', findings: loaderFindings(path, loaded.error.problems, []) }];
  const { configuration, warnings } = loaded.value;
  return [
    { what: 'configuration', findings: [...loaderFindings(path, [], warnings), ...transportFindings(configuration)] },
    { what: 'secrets', findings: secretFindings(configuration, file) },
    { what: 'servers', findings: await reachFindings(configuration, surroundings, timeout) },
  ];
}

/** With a configuration to look at, brokers that cannot be asked are a finding; without one there is nothing else to do. */
async function ofBrokers(invocation: Invocation, command: Command, hasOther: boolean): Promise<Examination[]> {
  const unasked = ['NATS permissions', 'brokers', 'sources'];
  let settings: ConnectionSettings | undefined;
  try {
    if ((await invocation.httpSettings(command)) === undefined) settings = await invocation.settings(command);
  } catch (error) {
    if (!hasOther) throw error;
    const { message } = toCommandFailure(error);
    return unasked.map((what) => ({ what, findings: [], skipped: message }));
  }
  try {
    return await invocation.throughDoor(command, async (door) => {
      const permissions = await ofPermissions(door, settings);
      const status = await door.operator.status();
      return [
        permissions,
        { what: 'brokers', findings: brokerFindings(status) },
        { what: 'sources', findings: sourceFindings(status) },
      ];
    });
  } catch (error) {
    if (!hasOther) throw error;
    const { code, message, remedy } = toCommandFailure(error);
    const finding = problem(
      `the brokers cannot be asked: ${message} [${code}]`,
      'Nobody gets a token like this.',
      remedy,
    );
    return [{ what: 'brokers', findings: [finding] }];
  }
}

async function ofPermissions(door: Door, settings: ConnectionSettings | undefined): Promise<Examination> {
  const what = 'NATS permissions';
  if (settings === undefined) return { what, findings: [], skipped: 'the brokers were asked over HTTP' };
  return { what, findings: await permissionFindings(door, settings.caller, settings.subjectPrefix) };
}
