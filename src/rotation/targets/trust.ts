/** What several targets' settings need trust for. Imports types only: descriptors do. */

export const AUTHORITY_EFFECT = 'servers with certificates of this authority are believed';
