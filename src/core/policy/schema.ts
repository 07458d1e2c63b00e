/**
 * The Cedar schema that policies are checked against, published as schemas/secrets.cedarschema (a test compares both).
 * A policy that the schema rejects is not used, and neither is its file: Cedar skips a `forbid` that fails while it is
 * evaluated, so a misspelt one would allow what it was written to prevent.
 */
export const POLICY_SCHEMA = `// What policies of secrets can say: docs/access.md explains each name.

// A group of the operating system: its name, and "gid:1000".
entity Group;

// The operating system's user that runs secrets, by login name ("uid:1000" if there is none).
entity User in [Group] {
  uid?: Long,
};

// A program that asks a running agent in another way than the command line does: Client::"vault" speaks Vault's
// protocol. It belongs to the user that the agent runs as.
entity Client in [User];

// A store of secrets.yaml, by its name there.
entity Store {
  // The kind of provider: "aws", "azure", "conjur", "gcp", "local", "vault".
  provider: String,
};

// The part of a name up to a slash: Prefix::"prod://payments/" contains prod://payments/db and all below.
entity Prefix in [Prefix, Store] {
  name: String,
  store: String,
  provider: String,
};

// A secret: Secret::"prod://payments/db". Its tags are the labels that the service has for it.
entity Secret in [Prefix, Store] {
  // In the service: with the prefix that the store's settings add.
  name: String,
  store: String,
  provider: String,
} tags String;

// What is known of the run. Everything here is said by whoever runs secrets and its machine.
type Context = {
  // "get", "rotate resume"
  command: String,
  // The program that exec starts: the path of its file.
  program?: String,
  // Whether a CI system says that it runs this.
  ci: Bool,
  // The branch of the git repository, or the one that CI names.
  branch?: String,
  // Whether a person can be asked.
  terminal: Bool,
  // UTC, 0 to 23.
  hour: Long,
  // UTC, 1 (Monday) to 7 (Sunday).
  weekday: Long,
  // --reason or SECRETS_REASON.
  reason?: String,
  // The machine's name.
  host: String,
};

// Show a value, or write it where it stays.
action read
// Hand a value to a program: exec, inject, rotation targets, Terraform.
, inject
// A new version, labels, or another version as the current one.
, write, "delete", restore
// Delete permanently.
, purge
, rotate
  appliesTo { principal: [User, Client], resource: [Secret], context: Context };

// Metadata, versions and who has access, never a value; of a store: its own audit log, and whether it works.
action describe
// Change who can use it, in the store itself.
, grant
  appliesTo { principal: [User, Client], resource: [Secret, Store], context: Context };

// The names below a prefix, or of a whole store.
action list
  appliesTo { principal: [User, Client], resource: [Prefix, Store], context: Context };

// Renew a store's own encryption key.
action rekey
  appliesTo { principal: [User, Client], resource: [Store], context: Context };
`;
