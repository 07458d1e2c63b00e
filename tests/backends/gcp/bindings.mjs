// The bindings of an IAM policy: which the service takes, and which conditions hold. Sources:
// https://cloud.google.com/iam/docs/reference/rest/v1/Policy, https://cloud.google.com/iam/docs/conditions-overview,
// https://cloud.google.com/iam/docs/conditions-attribute-reference
import { refuse } from './rules.mjs';

const MEMBER =
  /^(?:allUsers|allAuthenticatedUsers|(?:user|serviceAccount|group):[^@\s:]+@[^@\s:]+|domain:[a-z0-9.-]+|project(?:Owner|Editor|Viewer):[^\s:]+|principal(?:Set)?:\/\/\S+)$/;

/** The bindings as they are kept: those with the same role and condition are one. */
export function checkBindings({ bindings = [], version = 0 }, known) {
  const kept = new Map();
  for (const { role, members = [], condition } of bindings) {
    if (!/^(?:roles|projects\/[^/]+\/roles|organizations\/\d+\/roles)\/[\w.]+$/.test(role ?? ''))
      refuse('INVALID_ARGUMENT', `Role ${role} is not supported for this resource.`);
    if (members.length === 0) continue;
    for (const member of members) {
      if (!MEMBER.test(member)) refuse('INVALID_ARGUMENT', `Invalid member: ${member}`);
      const isOwn = /^serviceAccount:.*@tests\.iam\.gserviceaccount\.com$/.test(member);
      if (isOwn && !known.has(member))
        refuse('INVALID_ARGUMENT', `Service account ${member.slice(15)} does not exist.`);
      if (condition !== undefined && member.startsWith('all'))
        refuse('INVALID_ARGUMENT', 'Conditions are not supported for public members.');
    }
    if (condition !== undefined && version !== 3)
      refuse('INVALID_ARGUMENT', 'Specify policy version 3 for a policy with conditions.');
    if (condition !== undefined && (!condition.title || condition.title.length > 100))
      refuse('INVALID_ARGUMENT', 'Condition title must have 1 to 100 characters.');
    if (condition !== undefined && (condition.description ?? '').length > 256)
      refuse('INVALID_ARGUMENT', 'Condition description must have at most 256 characters.');
    const key = JSON.stringify([role, condition]);
    const binding = kept.get(key) ?? { role, members: [], ...(condition && { condition }) };
    binding.members = [...new Set([...binding.members, ...members])];
    kept.set(key, binding);
  }
  return [...kept.values()];
}

/** A condition that can't be evaluated does not hold, as with the service. */
export function holds(condition, resource, laterMs) {
  if (condition === undefined) return true;
  const type = `secretmanager.googleapis.com/${resource.includes('/versions/') ? 'SecretVersion' : 'Secret'}`;
  return condition.expression.split(' && ').every((term) => {
    const [, operator, time] = /^request\.time (<|>) timestamp\("([^"]+)"\)$/.exec(term) ?? [];
    const now = Date.now() + laterMs;
    if (operator !== undefined) return operator === '<' ? now < Date.parse(time) : now > Date.parse(time);
    const [, attribute, value] = /^resource\.(service|type) == "([^"]+)"$/.exec(term) ?? [];
    return (
      value === (attribute === 'type' ? type : 'secretmanager.googleapis.com') && attribute !== undefined
    );
  });
}
