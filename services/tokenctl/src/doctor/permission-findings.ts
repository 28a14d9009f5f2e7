import { createSubjects, inboxPrefixOf } from '@token-broker/protocol';
import type { Door } from '../surroundings.js';
import { problem, warning, type Finding } from './finding.js';

/** Nobody has this name: what is asked in it goes nowhere. */
const SOMEBODY_ELSE = 'tokenctl-doctor';
const REPRINT = 'Print `tokenctl nats-permissions` from the brokers’ configuration, and give them to the NATS server.';

/** Whether the NATS server lets this login do what it has to, and nothing that the others’ tokens would pay for. */
export async function permissionFindings(
  door: Pick<Door, 'mayHear' | 'mayPublish'>,
  caller: string,
  subjectPrefix: string | undefined,
): Promise<Finding[]> {
  const subjects = createSubjects(subjectPrefix);
  const hears = await Promise.all(
    [
      `${inboxPrefixOf(caller)}.>`,
      subjects.heartbeat(),
      subjects.invalidation('*'),
      `${inboxPrefixOf(SOMEBODY_ELSE)}.>`,
      subjects.peer('*'),
    ].map((subject) => door.mayHear(subject)),
  );
  const [inbox, heartbeat, invalidations, foreignInbox, peers] = hears;
  const asOthers = await door.mayPublish(subjects.get(SOMEBODY_ELSE, SOMEBODY_ELSE));
  if (foreignInbox === true && peers === true && asOthers)
    return [
      problem(
        'the NATS server enforces no permissions',
        'Everybody who connects can ask in any caller’s name and read everybody’s tokens. The policy of `callers:` is worth nothing.',
        REPRINT,
      ),
    ];
  return [
    ...(inbox === true
      ? []
      : [problem(`the user of ${caller} may not hear its own inbox`, 'No answer reaches it.', REPRINT)]),
    ...(heartbeat === true && invalidations === true
      ? []
      : [
          warning(
            `the user of ${caller} may not hear invalidations and heartbeats`,
            'A near cache of it would be suspect all the time, and `watch` is deaf.',
            REPRINT,
          ),
        ]),
    ...(foreignInbox === true
      ? [problem(`the user of ${caller} may hear the inboxes of others`, 'It reads their tokens.', REPRINT)]
      : []),
    ...(peers === true
      ? [problem(`the user of ${caller} may hear what brokers tell each other`, 'That is for brokers alone.', REPRINT)]
      : []),
    ...(asOthers
      ? [
          problem(
            `the user of ${caller} may ask in the name of others`,
            'It gets tokens of sources that are not its own.',
            REPRINT,
          ),
        ]
      : []),
  ];
}
