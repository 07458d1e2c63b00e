/** What a project's settings say, after reading, validating and applying profile, flags and trust. */
import type { AuditSettings } from '../audit/log/settings.ts';
import type { NotifySetting, PolicySettings, RotationBounds } from './rotation.ts';
import type { ReportSettings, SuppressionSettings } from './audit-report.ts';
import type { StoreSettings, TrustLine } from '../core/trust.ts';

/** A store that can be opened. */
export interface StoreConfig {
  readonly name: string;
  /** Kind of provider, such as `aws`. */
  readonly provider: string;
  readonly settings: StoreSettings;
  /** `builtin`: the store that every provider's name stands for. */
  readonly source: 'builtin' | 'project' | 'user';
  /** Lines for which the store is not opened yet; missing when there are none. */
  readonly untrusted?: readonly TrustLine[];
}

/** One variable that `exec` and `env` provide. */
export type EnvEntry = (
  | {
      readonly kind: 'ref';
      readonly ref: string;
      /** `file`: the variable holds the path of a private file with the value. */
      readonly as: 'value' | 'file';
      /** A missing secret leaves the variable unset instead of failing. */
      readonly optional: boolean;
    }
  | { readonly kind: 'literal'; readonly value: string }
) & {
  /** The line for which the variable is not set yet. */
  readonly untrusted?: TrustLine;
  /** It is set all the same where the secret is the text that is inherited: nothing is replaced. */
  readonly unlessSame?: true;
};

/** How one secret is rotated. */
export interface PolicyConfig {
  /** The reference as the file has it. */
  readonly reference: string;
  readonly settings: PolicySettings;
  /** The kind of provider whose schema `native` was checked by; missing without `native`. */
  readonly nativeKind?: string | undefined;
  /** The file it stands in. */
  readonly file: string;
  readonly line: number;
  /** Lines for which it is not acted on yet; missing when there are none. */
  readonly untrusted?: readonly TrustLine[];
}

/** Who is told of rotations. */
export interface NotifyConfig {
  readonly setting: NotifySetting;
  /** The file it stands in. */
  readonly file: string | undefined;
  /** Lines of the project's file that are not acted on yet; what is in `setting` is the user's own then. */
  readonly untrusted?: readonly TrustLine[];
}

/** A file that a secrets.yaml names, and that is trusted with it. */
export interface PinnedFile {
  readonly path: string;
  /** Seen from the folder of the secrets.yaml. */
  readonly name: string;
  /** Of its content; a word for what has none. */
  readonly sha256: string;
}

/** The project's file, and what in it asks for trust. */
export interface ProjectFile {
  readonly path: string;
  /** Without symbolic links: what a pin is for. */
  readonly realPath: string;
  /** What trust is for: the hash of the very bytes that were read, and of the files that they name. See trust.ts. */
  readonly sha256: string;
  /** Every line of it that needs trust, other profiles' too. */
  readonly lines: readonly TrustLine[];
  /** Those, and lines that would need trust in another environment: what is accepted when the file is trusted. */
  readonly shown: readonly TrustLine[];
  /** Files that it names and that come with it. */
  readonly files: readonly PinnedFile[];
  /** Whether the lines are acted on: pinned, named by SECRETS_TRUSTED, or `--trust`. */
  readonly trusted: boolean;
}

export interface Config {
  /** Path of the project's secrets.yaml, if there is one. */
  readonly file: string | undefined;
  readonly project: ProjectFile | undefined;
  readonly profile: string | undefined;
  readonly defaultStore: string;
  /** The line that chose it, for which no bare name is looked up there yet. */
  readonly untrustedDefault?: TrustLine;
  readonly stores: ReadonlyMap<string, StoreConfig>;
  readonly env: ReadonlyMap<string, EnvEntry>;
  /** Rotation policies by reference, as written. */
  readonly policies: ReadonlyMap<string, PolicyConfig>;
  /** `untrustedLock`: the line of `rotation.lock` for which that is not acted on yet. */
  readonly rotation: RotationBounds & { readonly untrustedLock?: readonly TrustLine[] };
  readonly audit: AuditSettings;
  /** Who is told of rotations, where a policy says nothing else. */
  readonly notify: NotifyConfig | undefined;
  /** What `audit report` measures by, as far as the files say. */
  readonly report: ReportSettings;
  readonly suppress: readonly SuppressionSettings[];
  /** Lines of the project's file about the report that are not acted on yet. */
  readonly untrustedReport?: readonly TrustLine[];
  /** Remarks for the user, such as a file that was passed over. */
  readonly warnings: readonly string[];
}
