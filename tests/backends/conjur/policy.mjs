/**
 * Loads a subset of Conjur's policy language: !policy, !variable, !host, !user, !group, !layer, !webservice,
 * !grant, !revoke, !permit, !deny, !delete. All of a document is applied, or none of it.
 * Source: https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/policy/policy-syntax.htm
 */
import { isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import { identifierOf, kindOf } from './model.mjs';

/** A document that the service answers with 422. */
export class PolicyError extends Error {}

const RECORDS = new Set(['policy', 'variable', 'host', 'user', 'group', 'layer', 'webservice']);
const WITH_ROLE = new Set(['policy', 'host', 'user', 'group', 'layer']);

/** Parses a document into tagged statements. */
function statementsOf(text) {
  const [document, ...more] = parseAllDocuments(text);
  if (more.length > 0) throw new PolicyError('Multiple YAML documents encountered');
  if (document === undefined || document.errors.length > 0) throw new PolicyError('the policy is not YAML');
  if (!isSeq(document.contents)) throw new PolicyError('a policy is a list of statements');
  return document.contents.items.map(toStatement);
}

function tagOf(node) {
  const tag = node?.tag;
  if (typeof tag !== 'string' || !tag.startsWith('!') || tag.startsWith('!!'))
    throw new PolicyError('a statement has no type');
  return tag.slice(1);
}

function toStatement(node) {
  const type = tagOf(node);
  if (isScalar(node)) return { type, fields: { id: String(node.value) } };
  if (!isMap(node)) throw new PolicyError(`!${type} must be a map or an id`);
  const fields = {};
  for (const { key, value } of node.items) {
    const name = String(key.value);
    if (name === 'annotations') fields[name] = annotationsOf(value);
    else if (isSeq(value)) fields[name] = value.items.map((item) => plainOrStatement(item));
    else fields[name] = plainOrStatement(value);
  }
  return { type, fields };
}

function plainOrStatement(node) {
  const tagged = typeof node?.tag === 'string' && node.tag.startsWith('!') && !node.tag.startsWith('!!');
  return tagged ? toStatement(node) : isScalar(node) ? node.value : undefined;
}

function annotationsOf(node) {
  if (!isMap(node)) throw new PolicyError("Expected a hash for field 'annotations'");
  return node.items.map(({ key, value }) => [String(key.value), String(value.value ?? '')]);
}

const listOf = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** One load: resolves ids against a policy, checks every reference, then applies. */
class Load {
  constructor(model, policy, deletes) {
    this.model = model;
    this.policy = policy;
    this.deletes = deletes;
    this.creating = new Map();
    this.later = [];
    this.created = {};
  }

  id({ type, fields }, namespace) {
    const kind = type === 'delete' ? undefined : type;
    if (!RECORDS.has(kind)) throw new PolicyError(`Unrecognized data type '!${type}'`);
    const given = fields.id;
    if (typeof given !== 'string' || given === '') throw new PolicyError(`${kind} has a blank id`);
    const path = given.startsWith('/') ? given.slice(1) : [namespace, given].filter(Boolean).join('/');
    if (path.split('/').includes('..')) throw new PolicyError(`Invalid relative reference: ${path}`);
    return `${this.model.account}:${kind}:${path}`;
  }

  read(statements, namespace, owner) {
    for (const statement of statements) {
      const { type, fields } = statement;
      if (RECORDS.has(type)) this.readRecord(statement, namespace, owner);
      else if (type === 'delete' || type === 'deny' || type === 'revoke') {
        if (!this.deletes) throw new PolicyError('Deletions are not allowed in this mode');
        this.readDeletion(statement, namespace);
      } else if (type === 'permit') {
        this.each(fields, namespace, ['role', 'resource'], (role, resource) => {
          for (const privilege of listOf(fields.privilege ?? fields.privileges)) {
            this.later.push(() => {
              const { permissions } = this.model.resources.get(resource);
              const same = (one) => one.role === role && one.privilege === privilege;
              if (!permissions.some(same)) permissions.push({ privilege, role, policy: this.policy });
            });
          }
        });
      } else if (type === 'grant') {
        this.each(fields, namespace, ['role', 'member'], (role, member) => {
          this.later.push(() => this.model.addMember(role, member));
        });
      } else throw new PolicyError(`Unrecognized data type '!${type}'`);
    }
  }

  each(fields, namespace, [first, second], work) {
    for (const one of listOf(fields[first] ?? fields[`${first}s`]))
      for (const other of listOf(fields[second] ?? fields[`${second}s`]))
        work(this.known(one, namespace), this.known(other, namespace));
  }

  /** The id that a reference names; 422 when there is nothing there. */
  known(statement, namespace) {
    const id = this.id(statement, namespace);
    if (!this.creating.has(id) && !this.model.resources.has(id)) throw new PolicyError(`${id} not found`);
    return id;
  }

  readRecord(statement, namespace, owner) {
    const { type, fields } = statement;
    const id = this.id(statement, namespace);
    const ownId = fields.owner === undefined ? owner : this.known(fields.owner, namespace);
    if (this.creating.has(id)) throw new PolicyError(`${id} is declared more than once`);
    const annotations = (fields.annotations ?? []).map(([name, value]) => [
      name,
      // The parser takes `..` for a relative path.
      value.split('/').includes('..') ? `${identifierOf(id)}/${value}` : value,
    ]);
    this.creating.set(id, { owner: ownId, annotations });
    if (type === 'policy') this.read(listOf(fields.body), identifierOf(id), id);
  }

  readDeletion({ type, fields }, namespace) {
    if (type === 'delete') {
      if (fields.record?.type === undefined) throw new PolicyError('!delete has no record');
      const id = this.id(fields.record, namespace);
      this.later.push(() => this.model.remove(id));
    } else if (type === 'deny') {
      this.each(fields, namespace, ['role', 'resource'], (role, resource) => {
        const privileges = listOf(fields.privilege ?? fields.privileges);
        this.later.push(() => {
          const found = this.model.resources.get(resource);
          found.permissions = found.permissions.filter(
            (one) => one.role !== role || !privileges.includes(one.privilege),
          );
        });
      });
    } else
      this.each(fields, namespace, ['role', 'member'], (role, member) => {
        this.later.push(() => this.model.members.get(role)?.delete(member));
      });
  }

  apply() {
    const { model, policy } = this;
    for (const [id, { owner, annotations }] of this.creating) {
      const there = model.resources.get(id);
      // A record of another policy stays as it is, and nobody is told.
      if (there !== undefined && there.policy !== policy) continue;
      if (there === undefined) {
        if (WITH_ROLE.has(kindOf(id))) {
          const apiKey = model.addRole(id);
          model.addMember(id, owner);
          if (apiKey !== undefined) this.created[id] = { id, api_key: apiKey };
        }
        model.addResource(id, owner, policy);
      }
      const resource = model.resources.get(id);
      resource.owner = owner;
      for (const [name, value] of annotations) {
        const old = resource.annotations.get(name);
        if (old === undefined || old.policy === policy) resource.annotations.set(name, { value, policy });
      }
    }
    for (const work of this.later) work();
    const resource = model.resources.get(policy);
    resource.loads += 1;
    return { created_roles: this.created, version: resource.loads };
  }
}

/** Loads a document into a policy. @throws PolicyError for one that is refused, with nothing applied */
export function loadPolicy(model, policy, text, deletes) {
  const load = new Load(model, policy, deletes);
  const root = identifierOf(policy) === 'root';
  load.read(
    statementsOf(text),
    root ? '' : identifierOf(policy),
    root ? model.resources.get(policy).owner : policy,
  );
  return load.apply();
}
