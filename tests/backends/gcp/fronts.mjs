// The two transports, both made from the protos that @google-cloud/secret-manager ships: gRPC by their service
// definition, REST by their google.api.http annotations.
import { createRequire } from 'node:module';
import grpc from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import * as json3 from 'proto3-json-serializer';
import { CODES, Refusal } from './rules.mjs';

const load = createRequire(import.meta.url);
const protos = load('@google-cloud/secret-manager/build/protos/protos.json');
// The same copy that the serializer uses: its checks of types go by class.
const protobuf = createRequire(load.resolve('proto3-json-serializer'))('protobufjs');

const SERVICE = 'google.cloud.secretmanager.v1.SecretManagerService';
const PLAIN = { longs: String, enums: String, bytes: Buffer, defaults: false };

const refusalOf = (thrown) =>
  thrown instanceof Refusal ? thrown : new Refusal('INTERNAL', `Internal error: ${thrown.message}`);

/** google.rpc.Status and the one kind of detail in use: https://github.com/googleapis/googleapis/tree/master/google/rpc */
const rpc = protobuf.parse(`syntax = "proto3";
message Any { string type_url = 1; bytes value = 2; }
message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }`).root;

function statusDetails({ status, message, info }) {
  if (info === undefined) return undefined;
  const type = (name) => rpc.lookupType(name);
  const value = type('ErrorInfo').encode(type('ErrorInfo').fromObject(info)).finish();
  const details = [{ type_url: 'type.googleapis.com/google.rpc.ErrorInfo', value }];
  const whole = type('Status').fromObject({ code: CODES[status][0], message, details });
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(type('Status').encode(whole).finish()));
  return metadata;
}

/** Listens with TLS. @returns the port */
export function serveGrpc({ handle, key, cert }) {
  const definition = fromJSON(protos, { ...PLAIN, oneofs: true });
  const { service } =
    grpc.loadPackageDefinition(definition).google.cloud.secretmanager.v1.SecretManagerService;
  const implementation = Object.fromEntries(
    Object.keys(service).map((method) => [
      method,
      (call, answer) => {
        try {
          const headers = call.metadata.getMap();
          answer(null, handle(method, call.request, headers));
        } catch (thrown) {
          const refusal = refusalOf(thrown);
          answer({
            code: CODES[refusal.status][0],
            details: refusal.message,
            metadata: statusDetails(refusal),
          });
        }
      },
    ]),
  );
  const server = new grpc.Server();
  server.addService(service, implementation);
  const credentials = grpc.ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: cert }]);
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

const camel = (name) => name.replaceAll(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** Every binding of every method: verb, pattern of the path, fields it fills, body. */
function makeRoutes() {
  const root = protobuf.Root.fromJSON(protos);
  root.resolveAll();
  const routes = [];
  for (const method of root.lookupService(SERVICE).methodsArray) {
    const http = method.parsedOptions.find((option) => '(google.api.http)' in option)['(google.api.http)'];
    for (const binding of [http, ...[http.additional_bindings ?? []].flat()]) {
      const verb = ['get', 'post', 'patch', 'delete'].find((one) => one in binding);
      const fields = [];
      // Each {field=projects/*/secrets/*} becomes a group whose stars are segments.
      const pattern = binding[verb].replaceAll(/\{([\w.]+)=([^}]+)\}/g, (_, path, template) => {
        fields.push(path);
        return `(${template.replaceAll('*', '[^/:]+')})`;
      });
      routes.push({
        method,
        verb: verb.toUpperCase(),
        path: new RegExp(`^${pattern}$`),
        fields,
        body: binding.body,
      });
    }
  }
  return routes;
}

function assign(target, path, value) {
  const keys = path.split('.').map(camel);
  const last = keys.pop();
  let here = target;
  for (const key of keys) here = here[key] ??= {};
  here[last] = value;
}

const errorBody = ({ status, message, info }) => ({
  error: {
    code: CODES[status][1],
    message,
    status,
    ...(info && { details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', ...info }] }),
  },
});

export const answerRefusal = (thrown) => {
  const refusal = refusalOf(thrown);
  return { status: CODES[refusal.status][1], body: errorBody(refusal) };
};

/** Answers one REST request: `{ status, body }`. */
export function makeRest(handle) {
  const routes = makeRoutes();
  return (verb, url, headers, text) => {
    try {
      const path = decodeURIComponent(url.pathname);
      const route = routes.find((one) => one.verb === verb && one.path.test(path));
      if (route === undefined)
        throw new Refusal('NOT_FOUND', 'The requested URL was not found on this server.');
      const { method, fields, body } = route;
      const request = {};
      if (body !== undefined) {
        let parsed;
        try {
          parsed = text === '' ? {} : JSON.parse(text);
        } catch {
          throw new Refusal('INVALID_ARGUMENT', 'Invalid JSON payload received.');
        }
        if (body === '*') Object.assign(request, parsed);
        else request[camel(body)] = parsed;
      }
      route.path
        .exec(path)
        .slice(1)
        .forEach((value, index) => assign(request, fields[index], value));
      for (const [name, value] of url.searchParams)
        if (!name.startsWith('$'))
          assign(request, name, /(?:pageSize|PolicyVersion)$/.test(name) ? Number(value) : value);
      let message;
      try {
        message = json3.fromProto3JSON(method.resolvedRequestType, request);
      } catch (thrown) {
        throw new Refusal('INVALID_ARGUMENT', `Invalid JSON payload received: ${thrown.message}`);
      }
      const plain = method.resolvedRequestType.toObject(message, PLAIN);
      const answer = handle(method.name, plain, headers);
      const numericEnums = url.searchParams.get('$alt') === 'json;enum-encoding=int';
      const type = method.resolvedResponseType;
      return { status: 200, body: json3.toProto3JSON(type.fromObject(answer), { numericEnums }) ?? {} };
    } catch (thrown) {
      return answerRefusal(thrown);
    }
  };
}
