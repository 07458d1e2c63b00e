/** What could not be looked at, as a report lists it. */
import { type SecretsError, toSecretsError } from '../core/errors.ts';
import type { ReportStore } from '../core/findings/report.ts';
import { byReference } from '../core/order.ts';

export type ReportFailure = ReportStore['errors'][number];

/** By reference, whichever failed first. */
export function reportFailures(errors: readonly SecretsError[]): readonly ReportFailure[] {
  return errors.toSorted(byReference).map(({ kind, message, reference, hint }) => ({
    kind,
    message,
    ...(reference !== undefined && { reference }),
    ...(hint !== undefined && { hint }),
  }));
}

/** What failed after the secrets were collected, by store. */
export class Failures {
  readonly #byStore = new Map<string, SecretsError[]>();

  add(store: string, thrown: unknown, reference = `${store}://`): void {
    const list = this.#byStore.get(store) ?? [];
    this.#byStore.set(store, list);
    list.push(toSecretsError(thrown).forReference(reference));
  }

  of(store: string): readonly ReportFailure[] {
    return reportFailures(this.#byStore.get(store) ?? []);
  }
}
