/** The values of the options that every command has. */
export interface CommonOptions {
  readonly store?: string;
  readonly profile?: string;
  readonly config?: string;
  readonly trust?: boolean;
  readonly reason?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly timeout?: string;
  readonly color?: boolean;
  /** `--no-agent` */
  readonly agent?: boolean;
}
