/** Principals of Google Cloud as members of an IAM policy. Source: https://cloud.google.com/iam/docs/principal-identifiers */
import { checkBreadth, parsePrincipal } from '../../core/access/principal.ts';
import { SecretsError } from '../../core/errors.ts';
import { quoted } from '../../core/text/suspect.ts';
import { breadthOf } from './grants.ts';

const KINDS = ['user', 'serviceaccount', 'sa', 'group', 'domain'];
const EXAMPLES =
  'user:ada@example.com, serviceAccount:ci@PROJECT.iam.gserviceaccount.com, sa/ci or group:team@example.com';
const EMAIL = /^[^\s@:/]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;
const DOMAIN = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;
/** Identities of workload and workforce pools; a pool of GKE is called `PROJECT.svc.id.goog`. */
const FEDERATED =
  /^principal(?:Set)?:\/\/iam\.googleapis\.com\/(?:projects\/\d+\/)?locations\/global\/work(?:load|force)(?:Identity)?Pools\/[\w.:-]+\/[^\s"\\]+$/;

/**
 * The member that a principal is, in Google's own words.
 * @param project where `sa/NAME` is a service account
 * @throws SecretsError Usage, Policy for one that stands for many
 */
export function memberOf(text: string, project: string, broad: boolean): string {
  if (/^(?:\*|allUsers|allAuthenticatedUsers)$/i.test(text))
    throw new SecretsError('Usage', `${quoted(text)} would make the secret public`, {
      hint: `name who may read it, such as ${EXAMPLES}`,
    });
  const member = FEDERATED.test(text) ? text : named(text, project);
  if (breadthOf(member) !== 'named') checkBreadth(`everybody in ${member}`, broad);
  return member;
}

function named(text: string, project: string): string {
  const { kind, name } = parsePrincipal(text, KINDS, EXAMPLES);
  const isShort = (kind === 'sa' || kind === 'serviceaccount') && /^[a-z][a-z0-9-]*$/.test(name);
  const full = (isShort ? `${name}@${project}.iam.gserviceaccount.com` : name).toLowerCase();
  if (!(kind === 'domain' ? DOMAIN : EMAIL).test(full))
    throw new SecretsError(
      'Usage',
      `${quoted(name)} is not ${kind === 'domain' ? 'a domain' : 'an email address'}`,
      {
        hint: `such as ${EXAMPLES}`,
      },
    );
  return `${kind === 'sa' || kind === 'serviceaccount' ? 'serviceAccount' : kind}:${full}`;
}
