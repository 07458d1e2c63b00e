/** What is wrong with a log, one line each; none: it is whole. */
export function verifyLog(
  path: string,
  options?: {
    /** Ids of the keys that are trusted; missing: any. */
    readonly trusted?: readonly string[];
    /** The folder of second heads. */
    readonly heads?: string | undefined;
    readonly anchors?: readonly { readonly seq: number; readonly hash: string }[];
  },
): readonly string[];
