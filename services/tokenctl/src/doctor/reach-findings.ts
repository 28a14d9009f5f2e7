import { traitsOf, type Configuration, type SourceConfiguration } from '@token-broker/configuration';
import type { NetworkAddress, Surroundings } from '../surroundings.js';
import { problem, type Finding } from './finding.js';

interface Target {
  readonly place: string;
  readonly shown: string;
  readonly address: NetworkAddress;
}

/** Tries every server that a configuration names, from this machine; an identity provider behind a proxy is not tried. */
export async function reachFindings(
  configuration: Configuration,
  surroundings: Pick<Surroundings, 'reach'>,
  limitMs: number,
): Promise<Finding[]> {
  const found = await Promise.all(
    distinct([...redisTargets(configuration), ...[...configuration.sources.values()].flatMap(providerTarget)]).map(
      async ({ place, shown, address }) => {
        const why = await surroundings.reach(address, limitMs);
        if (why === undefined) return [];
        const remedy = `Check the address, the name service, firewalls${address.tls === undefined ? '' : ' and the certificate (ca)'}. A broker on another machine may reach it.`;
        return [
          problem(`${place}: ${shown} cannot be reached from here: ${why}`, 'Without it no new tokens come.', remedy),
        ];
      },
    ),
  );
  return found.flat();
}

function redisTargets({ redis: { topology, tls } }: Configuration): Target[] {
  const hosts =
    topology.kind === 'standalone' ? [topology] : topology.kind === 'sentinel' ? topology.sentinels : topology.nodes;
  return hosts.map(({ host, port }) => ({
    place: 'redis',
    shown: `${host}:${String(port)}`,
    // A server that wants a client's certificate takes the connection, and says so later.
    address: { host, port, ...(tls === undefined ? {} : { tls: tls.ca === undefined ? {} : { ca: tls.ca } }) },
  }));
}

function providerTarget(source: SourceConfiguration): Target[] {
  const { endpoint } = traitsOf(source).summary;
  // Of some kinds it is no URL, or there is none.
  if ('proxy' in source || !/^https?:/.test(endpoint)) return [];
  const ca = 'ca' in source ? source.ca : undefined;
  const url = new URL(endpoint);
  const isTls = url.protocol === 'https:';
  const address: NetworkAddress = {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    ...(isTls ? { tls: ca === undefined ? {} : { ca } } : {}),
  };
  return [{ place: `sources.${source.name}`, shown: url.host, address }];
}

/** One try for each server: sources share them. */
function distinct(targets: readonly Target[]): Target[] {
  const byAddress = new Map<string, Target>();
  for (const target of targets) {
    const key = JSON.stringify(target.address);
    const known = byAddress.get(key);
    byAddress.set(key, known === undefined ? target : { ...known, place: `${known.place}, ${target.place}` });
  }
  return [...byAddress.values()];
}
