/** The configuration, after reading and validating the files and applying profile, flags and trust. */
import type { AuditSettings } from '../audit/log/settings.ts';
import type { NotifySetting, PolicySettings, RotationBounds } from './rotation.ts';
import type { ReportSettings, SuppressionSettings } from './audit-report.ts';
import type { StoreSettings, TrustLine } from '../core/trust.ts';

export interface StoreConfig {
  readonly name: string;
  /** Kind of provider, such as `aws`. */
  readonly provider: string;
  readonly settings: StoreSettings;
  /** `builtin`: the default store that each provider has under its own name. */
  readonly source: 'builtin' | 'project' | 'user';
  /** Untrusted lines because of which the store isn't opened; missing if there are none. */
  readonly untrusted?: readonly TrustLine[];
}

/** One variable that `exec` and `env` provide. */
export type EnvEntry = (
  | {
      readonly kind: 'ref';
      readonly ref: string;
      /** `file`: the variable contains the path of a private file with the value. */
      readonly as: 'value' | 'file';
      /** A missing secret leaves the variable unset instead of failing. */
      readonly optional: boolean;
    }
  | { readonly kind: 'literal'; readonly value: string }
) & {
  /** The untrusted line because of which the variable isn't set. */
  readonly untrusted?: TrustLine;
  /** It is set nevertheless if the secret equals the inherited value, because then nothing changes. */
  readonly unlessSame?: true;
};

/** The rotation policy of one secret. */
export interface PolicyConfig {
  /** The reference as written in the file. */
  readonly reference: string;
  readonly settings: PolicySettings;
  /** The kind of provider whose schema has checked `native`; missing without `native`. */
  readonly nativeKind?: string | undefined;
  /** The file that contains it. */
  readonly file: string;
  readonly line: number;
  /** Untrusted lines because of which it has no effect; missing if there are none. */
  readonly untrusted?: readonly TrustLine[];
}

/** Who is notified of rotations. */
export interface NotifyConfig {
  readonly setting: NotifySetting;
  /** The file that contains it. */
  readonly file: string | undefined;
  /** Lines of the project's file that aren't trusted yet; `setting` is then the user's own. */
  readonly untrusted?: readonly TrustLine[];
}

/** A file that a secrets.yaml names, and whose content is trusted together with it. */
export interface PinnedFile {
  readonly path: string;
  /** Relative to the folder of the secrets.yaml. */
  readonly name: string;
  /** Hash of its content; a word if it has none. */
  readonly sha256: string;
}

/** The project's file, and its lines that need trust. */
export interface ProjectFile {
  readonly path: string;
  /** Without symbolic links. Trust is recorded for this path. */
  readonly realPath: string;
  /**
   * What the trust covers: the hash of exactly the bytes that were read, and of the files that they name. See
   * trust.ts.
   */
  readonly sha256: string;
  /** Every line that needs trust, including other profiles. */
  readonly lines: readonly TrustLine[];
  /**
   * Those, plus lines that would need trust in a different environment: what the user accepts when trusting the file.
   */
  readonly shown: readonly TrustLine[];
  /** Files that it names and that belong to the project. */
  readonly files: readonly PinnedFile[];
  /** Whether the lines take effect: trusted by the user, by SECRETS_TRUSTED or by `--trust`. */
  readonly trusted: boolean;
}

export interface Config {
  /** Path of the project's secrets.yaml, if there is one. */
  readonly file: string | undefined;
  readonly project: ProjectFile | undefined;
  readonly profile: string | undefined;
  readonly defaultStore: string;
  /** The untrusted line that set it, because of which names without a store aren't looked up there. */
  readonly untrustedDefault?: TrustLine;
  readonly stores: ReadonlyMap<string, StoreConfig>;
  readonly env: ReadonlyMap<string, EnvEntry>;
  /** Rotation policies by reference, as written. */
  readonly policies: ReadonlyMap<string, PolicyConfig>;
  /** `untrustedLock`: the untrusted line of `rotation.lock`, because of which the lock isn't used. */
  readonly rotation: RotationBounds & { readonly untrustedLock?: readonly TrustLine[] };
  readonly audit: AuditSettings;
  /** Who is notified of rotations, unless a policy overrides it. */
  readonly notify: NotifyConfig | undefined;
  /** The thresholds of `audit report`, as far as the files set them. */
  readonly report: ReportSettings;
  readonly suppress: readonly SuppressionSettings[];
  /** Untrusted lines of the project's file about the report. */
  readonly untrustedReport?: readonly TrustLine[];
  /** Warnings for the user, such as about a file that was skipped. */
  readonly warnings: readonly string[];
}
