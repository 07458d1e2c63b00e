/** One question to the running agent, with an error that says what is in the way. */
import type { AgentRequest } from '../../core/agent/messages.ts';
import { SecretsError } from '../../core/errors.ts';
import type { JsonValue } from '../../core/json.ts';
import { version } from '../../core/version.ts';
import { askAgent, type Exchange, NoAgent } from '../../platform/agent/connect.ts';
import { findAgents, type FoundAgent } from '../../platform/agent/place.ts';
import type { Session } from '../../session/session.ts';

export interface Asked {
  readonly path: string;
  readonly hello: Exchange['hello'];
  readonly done: JsonValue;
}

/** @throws SecretsError NotFound if none is running, Denied for a socket that isn't the user's alone, Conflict */
export async function askRunning(session: Session, request: AgentRequest): Promise<Asked> {
  return first(await askEach(session, request, true));
}

/**
 * The same for every agent of this user: one may have been started in a shell with another XDG_RUNTIME_DIR.
 * @throws SecretsError as `askRunning`
 */
export async function askAll(
  session: Session,
  request: AgentRequest,
): Promise<readonly [Asked, ...(readonly Asked[])]> {
  const asked = await askEach(session, request, false);
  const [answered] = [first(asked)];
  const failed = asked.find((one) => one instanceof SecretsError && one.kind !== 'NotFound');
  if (failed instanceof SecretsError) throw failed;
  return [
    answered,
    ...asked.filter((one): one is Asked => one !== answered && !(one instanceof SecretsError)),
  ];
}

/** The first answer. @throws SecretsError the first failure, if there is none */
function first(asked: readonly (Asked | SecretsError)[]): Asked {
  const answered = asked.find((one): one is Asked => !(one instanceof SecretsError));
  if (answered !== undefined) return answered;
  const [failure] = asked;
  if (failure instanceof SecretsError) throw failure;
  throw new SecretsError('NotFound', 'no agent is running', { hint: 'start one with secrets agent start' });
}

/** Asks one after the other. @param untilAnswered ends with the first answer */
async function askEach(
  { world: { env, home, uid } }: Session,
  request: AgentRequest,
  untilAnswered: boolean,
): Promise<readonly (Asked | SecretsError)[]> {
  const all: (Asked | SecretsError)[] = [];
  // Also with SECRETS_AGENT=0, which is about get, exec and env.
  for (const found of findAgents({ env, home, uid })) {
    const answer = await askOne(found, request);
    all.push(answer);
    if (untilAnswered && !(answer instanceof SecretsError)) break;
  }
  return all;
}

async function askOne({ path, problem }: FoundAgent, request: AgentRequest): Promise<Asked | SecretsError> {
  if (problem !== undefined)
    return new SecretsError('Denied', `the agent’s socket is not used: ${problem}`, {
      hint: 'check who created it, then remove it',
    });
  try {
    const { hello, answer } = await askAgent(path, request);
    if ('done' in answer) return { path, hello, done: answer.done };
    return new SecretsError('Failed', `the agent (process ${hello.pid}) doesn’t know this request`, {
      hint: `it is of version ${hello.version}, this is ${version}; start it again`,
    });
  } catch (thrown) {
    if (thrown instanceof NoAgent) return unanswered(path, thrown);
    throw thrown;
  }
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
