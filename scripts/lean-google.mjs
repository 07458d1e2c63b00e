// Leaves out of the bundle what a Google store never runs over REST. @google-cloud/secret-manager is made for gRPC
// and takes another google-gax as an argument, but imports the whole of it anyway; and that other google-gax imports a
// sign-in library and three APIs that the client never asks for. Together they are two thirds of the time of a `get`.
//
// Over gRPC nothing changes: src/providers/gcp/grpc.ts imports the whole google-gax, as a chunk of its own, and hands
// it to the same client.
//
// Each stand-in fails loudly if a later version of a package uses more of what it stands for than is known here.

const CLIENT = /@google-cloud\/secret-manager\/build\/src\/v1\/secret_manager_service_client\.js$/;
const FALLBACK = /google-gax\/build\/src\/fallback\.js$/;
const GAX = /google-gax\/build\/src\/(fallback|index)\.js$/;
const PROTOS = /@google-cloud\/secret-manager\/build\/protos\/protos\.json$/;
const SERIALIZER = /proto3-json-serializer\/build\/src\/toproto3json\.js$/;

const STAND_INS = {
  // Logging would show requests and answers, which are secrets; the decoder is for details we read ourselves.
  gax: `
    const silent = { info() {}, warn() {}, debug() {}, error() {} };
    module.exports = { loggingUtils: { log: () => silent }, decodeAnyProtosInArray: (details) => details };`,
  // The adapter always hands over its own sign-in.
  auth: `
    module.exports = { GoogleAuth: class { constructor() { throw new Error('no sign-in was given'); } } };`,
  // Generated code of other APIs' messages; what is used of them is read from JSON.
  messages: `module.exports = {};`,
};

/** A plugin for rolldown. */
export const leanGoogle = {
  name: 'lean-google',
  resolveId(source, importer = '') {
    const from = importer.replaceAll('\\', '/');
    const standIn = (name) => `\0lean-google-${name}.cjs`;
    if (source === 'google-gax' && CLIENT.test(from)) return standIn('gax');
    if (source === 'google-auth-library' && FALLBACK.test(from)) return standIn('auth');
    if (/^\.\.\/protos\/(iam_service|locations|operations)$/.test(source) && GAX.test(from))
      return standIn('messages');
    return undefined;
  },
  load(id) {
    const [, name] = /^\0lean-google-(\w+)\.cjs$/.exec(id) ?? [];
    return name === undefined ? undefined : STAND_INS[name];
  },
  transform(code, id) {
    const path = id.replaceAll('\\', '/');
    if (SERIALIZER.test(path)) {
      // It knows a 64-bit number by the name of its class, and the minifier gives classes other names.
      const byName = "value?.constructor?.name === 'Long'";
      if (!code.includes(byName)) throw new Error('proto3-json-serializer has changed: see lean-google.mjs');
      return { code: code.replace(byName, 'value?.__isLong__ === true') };
    }
    if (!PROTOS.test(path)) return undefined;
    // The client reads the definitions of every version of the API at each start; it speaks v1.
    const protos = JSON.parse(code);
    const versions = protos.nested.google.nested.cloud.nested.secretmanager.nested;
    for (const version of Object.keys(versions)) if (version !== 'v1') delete versions[version];
    return { code: JSON.stringify(protos) };
  },
};
