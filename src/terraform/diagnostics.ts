/** Errors and warnings as OpenTofu and Terraform show them: a summary, what to do, and the attribute in question. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { learnSpellings } from '../output/confidential.ts';
import { errorLine } from '../output/report.ts';
import type { World } from '../platform/world.ts';

/** `Diagnostic` of the protocol. */
export interface Diagnostic {
  readonly severity: 'ERROR' | 'WARNING';
  readonly summary: string;
  readonly detail: string;
  readonly attribute?: AttributePath | undefined;
}

/** `AttributePath` of the protocol: only attributes of the block itself are pointed at. */
export interface AttributePath {
  readonly steps: readonly { readonly attribute_name: string }[];
}

export function pathTo(attribute: string): AttributePath {
  return { steps: [{ attribute_name: attribute }] };
}

/** An error that is about one attribute of a block. */
class AttributeError extends Error {
  readonly attribute: string;
  readonly error: SecretsError;

  constructor(attribute: string, error: SecretsError) {
    super(error.message, { cause: error });
    this.attribute = attribute;
    this.error = error;
  }
}

/** Does a piece of work that fails because of this attribute, unless it names another. */
export async function about<T>(attribute: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw thrown instanceof AttributeError ? thrown : new AttributeError(attribute, toSecretsError(thrown));
  }
}

/** The diagnostics of a failure, without values: the program shows them, and writes them to its log. */
export async function failure(world: Pick<World, 'env'>, thrown: unknown): Promise<readonly Diagnostic[]> {
  await learnSpellings(world);
  const attribute = thrown instanceof AttributeError ? pathTo(thrown.attribute) : undefined;
  const error = thrown instanceof AttributeError ? thrown.error : toSecretsError(thrown);
  const { kind, message, reference, hint } = error;
  const lines = [
    ...(hint === undefined ? [] : [`${sentence(errorLine(new SecretsError(kind, hint), world))}.`]),
    ...error.errors.map((one) => errorLine(one, world)),
  ];
  const summary = errorLine(new SecretsError(kind, message, { reference }), world);
  return [{ severity: 'ERROR', summary, detail: lines.join('\n'), attribute }];
}

/** A hint begins in lower case, as a clause; here it stands alone. Names and commands stay as they are. */
function sentence(hint: string): string {
  return /^secrets\b/.test(hint) ? hint : hint.charAt(0).toUpperCase() + hint.slice(1);
}

export function warning(summary: string, detail: string, attribute?: string): Diagnostic {
  return {
    severity: 'WARNING',
    summary,
    detail,
    ...(attribute !== undefined && { attribute: pathTo(attribute) }),
  };
}
