/** One question to the running agent, with an error that says what is in the way. */
import type { AgentRequest } from '../../core/agent/messages.ts';
import { SecretsError } from '../../core/errors.ts';
import type { JsonValue } from '../../core/json.ts';
import { version } from '../../core/version.ts';
import { askAgent, type Exchange, NoAgent } from '../../platform/agent/connect.ts';
import { findAgent } from '../../platform/agent/place.ts';
import type { Session } from '../../session/session.ts';

export interface Asked {
  readonly path: string;
  readonly hello: Exchange['hello'];
  readonly done: JsonValue;
}

/** @throws SecretsError NotFound if none is running, Denied for a socket that isn't the user's alone, Conflict */
export async function askRunning(session: Session, request: AgentRequest): Promise<Asked> {
  // SECRETS_AGENT=0 is about get, exec and env.
  const found = findAgent({ ...placeOf(session), env: { ...session.world.env, SECRETS_AGENT: undefined } });
  if (found === undefined)
    throw new SecretsError('NotFound', 'no agent is running', { hint: 'start one with secrets agent start' });
  const { path, problem } = found;
  if (problem !== undefined)
    throw new SecretsError('Denied', `the agent’s socket is not used: ${problem}`, {
      hint: 'look who made it, and remove it',
    });
  try {
    const { hello, answer } = await askAgent(path, request);
    if ('done' in answer) return { path, hello, done: answer.done };
    throw new SecretsError(
      'Failed',
      `the agent (process ${hello.pid}) refuses: it doesn’t know this request`,
      {
        hint: `it is of version ${hello.version}, this is ${version}; start it again`,
      },
    );
  } catch (thrown) {
    throw thrown instanceof NoAgent ? unanswered(path, thrown) : thrown;
  }
}

function placeOf({ world }: Session): { readonly home: string; readonly uid: number | undefined } {
  return { home: world.home, uid: world.uid };
}

function unanswered(path: string, { why, message, hello }: NoAgent): SecretsError {
  if (why === 'gone')
    return new SecretsError('NotFound', `no agent is running; ${path} was left by one that crashed`, {
      hint: 'start one with secrets agent start, which replaces it',
    });
  if (why === 'protocol' && hello !== undefined)
    return new SecretsError('Conflict', `the agent (process ${hello.pid}): ${message}; this is ${version}`, {
      hint: `end it with kill ${hello.pid}, and start it again`,
    });
  const what =
    why === 'stranger' ? `what listens at ${path} is not an agent` : `the agent at ${path}: ${message}`;
  return new SecretsError('Unavailable', what, { hint: 'end that process, and start the agent again' });
}
