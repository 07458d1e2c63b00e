/** Trust descriptions that several targets share. Imports only types, because descriptors import it. */

export const AUTHORITY_EFFECT = 'servers with certificates of this authority are believed';
