/**
 * A double of a Log Analytics workspace and its query API, which the double of Key Vault sends its audit events to.
 * Tables and columns are those of https://learn.microsoft.com/azure/azure-monitor/reference/tables/azkvauditlogs and
 * https://learn.microsoft.com/azure/azure-monitor/reference/tables/azurediagnostics, with the forms that users report.
 * Each query is checked by Microsoft's own language service against them, then carried out by kql.ts. It shares
 * nothing with the adapter; ../README.md says what it can't show.
 */
import { randomUUID } from 'node:crypto';
import type { Entra, Token } from './entra.ts';
import { carryOut, findKqlFault, QueryError, type Row, type Table } from './kql.ts';

export const LOGS_HOST = 'api.loganalytics.io';

const OPERATIONS: Readonly<Record<string, string>> = {
  GetSecret: 'SecretGet',
  SetSecret: 'SecretSet',
  UpdateSecret: 'SecretUpdate',
  DeleteSecret: 'SecretDelete',
  GetDeletedSecret: 'SecretGetDeleted',
  RecoverDeletedSecret: 'SecretRecover',
  PurgeDeletedSecret: 'SecretPurge',
  GetSecrets: 'SecretList',
  GetSecretVersions: 'SecretListVersions',
  GetDeletedSecrets: 'SecretListDeleted',
};
const SIGNATURES: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'NoContent',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
};
const COMMON = {
  TenantId: 'string',
  TimeGenerated: 'datetime',
  OperationName: 'string',
  OperationVersion: 'string',
  ResultType: 'string',
  ResultSignature: 'string',
  ResultDescription: 'string',
  DurationMs: 'int',
  CorrelationId: 'string',
  Type: 'string',
  _ResourceId: 'string',
} as const;

/** One call of a vault. */
export interface Call {
  readonly vault: string;
  readonly url: string;
  readonly status: number;
  readonly requestId: string;
  readonly agent: string;
  readonly id?: string | undefined;
  readonly operation?: string | undefined;
  readonly token?: Token | undefined;
}

export class Workspace {
  readonly id = randomUUID();
  /** Object ids of those with the role Log Analytics Reader. */
  readonly readers = new Set<string>();
  /** Queries so far. */
  readonly queries: string[] = [];
  /** Which tables the vaults' diagnostic settings write. */
  destination: 'dedicated' | 'diagnostics' | 'both' | 'none' = 'dedicated';
  /** So many queries are refused for their rate from now on. */
  throttle = 0;
  /** Whether answers end early, with an error beside the rows. */
  partial = false;
  /** Tables exist once something was sent to them. */
  readonly tables = new Map<string, Table>();

  /** Puts in a row of the resource-specific table. */
  add(row: Row): void {
    const table = this.#table('AZKVAuditLogs', {
      ...COMMON,
      CallerIpAddress: 'string',
      ClientInfo: 'string',
      HttpStatusCode: 'int',
      Id: 'string',
      Identity: 'dynamic',
      RequestUri: 'string',
    });
    table.rows.push({ ...this.#common(), ...row });
  }

  /** Puts in a row of the table that all resources share; its columns come with the first entry that has them. */
  addDiagnostics(row: Row): void {
    const columns: Record<string, string> = { ...COMMON, ResourceProvider: 'string', Category: 'string' };
    const table = this.#table('AzureDiagnostics', columns);
    for (const name of Object.keys(row)) table.columns[name] ??= name.endsWith('_d') ? 'real' : 'string';
    table.rows.push({
      ...this.#common(),
      ResourceProvider: 'MICROSOFT.KEYVAULT',
      Category: 'AuditEvent',
      ...row,
    });
  }

  #common(): Row {
    return {
      TenantId: this.id,
      TimeGenerated: now(),
      OperationName: 'SecretGet',
      OperationVersion: '2025-07-01',
      ResultType: 'Success',
      ResultSignature: 'OK',
      ResultDescription: '',
      CorrelationId: randomUUID(),
      _ResourceId: resourceId('tests'),
    };
  }

  #table(name: string, columns: Record<string, string>): Table {
    const table = this.tables.get(name) ?? { columns: { ...columns }, rows: [] };
    this.tables.set(name, table);
    return table;
  }

  /** What a vault logs of a call. */
  note({ vault, url, status, requestId, agent, id, operation, token }: Call): void {
    // The data plane's own port stands in the address.
    const uri = url.replace(/^(https:\/\/[^/:]+)/, '$1:8443');
    const common = {
      TimeGenerated: now(),
      OperationName: OPERATIONS[operation ?? ''] ?? 'Authentication',
      ResultSignature: SIGNATURES[status] ?? String(status),
      ResultType: status < 400 ? 'Success' : 'Failed',
      CorrelationId: requestId,
      _ResourceId: resourceId(vault),
    };
    const { objectId, clientId, upn } = token ?? {};
    if (this.destination === 'dedicated' || this.destination === 'both')
      this.add({
        ...common,
        CallerIpAddress: '127.0.0.1',
        ClientInfo: agent,
        HttpStatusCode: status,
        Id: id ?? '',
        Identity: JSON.stringify({ claim: { oid: objectId, appid: clientId, upn } }),
        RequestUri: uri,
      });
    if (this.destination === 'diagnostics' || this.destination === 'both')
      this.addDiagnostics({
        ...common,
        CallerIPAddress: '127.0.0.1',
        clientInfo_s: agent,
        httpStatusCode_d: status,
        id_s: id ?? '',
        requestUri_s: uri,
        ...(objectId !== undefined && {
          identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g: objectId,
        }),
        ...(clientId !== undefined && { identity_claim_appid_g: clientId }),
        ...(upn !== undefined && { identity_claim_upn_s: upn }),
      });
  }

  /** Answers a request to the API: https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format */
  handle(
    method: string,
    url: URL,
    entra: Entra,
    authorization: string | undefined,
    body: string,
  ): { status: number; body: object; headers?: Record<string, string> } {
    const refuse = (
      status: number,
      code: string,
      message: string,
      innererror?: object,
    ): ReturnType<Workspace['handle']> => ({
      status,
      body: { error: { code, message, ...(innererror !== undefined && { innererror }) } },
      ...(status === 429 && { headers: { 'retry-after': '0' } }),
    });
    const [, workspace] = /^\/v1\/workspaces\/([^/]+)\/query$/.exec(url.pathname) ?? [];
    if (method !== 'POST' || workspace === undefined)
      return refuse(404, 'PathNotFoundError', 'The requested path does not exist');
    const [, text] = /^Bearer (.+)$/.exec(authorization ?? '') ?? [];
    if (text === undefined)
      return refuse(
        401,
        'AuthenticationFailed',
        "Authentication failed. The 'Authorization' header is missing.",
      );
    const token = entra.verify(text);
    if (token === undefined) return refuse(403, 'InvalidAuthenticationToken', 'The access token is invalid.');
    if (token.audience !== `https://${LOGS_HOST}`)
      return refuse(
        403,
        'InvalidAuthenticationTokenAudience',
        'The access token has been obtained from wrong audience.',
      );
    if (workspace !== this.id)
      return refuse(404, 'WorkspaceNotFoundError', `The workspace could not be found: ${workspace}`);
    if (!this.readers.has(token.objectId))
      return refuse(
        403,
        'InsufficientAccessError',
        'The provided credentials have insufficient access to perform the requested operation',
      );
    if (this.throttle > 0) {
      this.throttle -= 1;
      return refuse(429, 'ThrottledError', 'The request is throttled');
    }
    const { query, timespan = '' } = JSON.parse(body) as { query: string; timespan?: string };
    this.queries.push(query);
    const fault = findKqlFault(query, this.tables);
    const bad = (message: string, code = 'SemanticError'): ReturnType<Workspace['handle']> =>
      refuse(400, 'BadArgumentError', 'The request had some invalid properties', {
        code,
        message: 'A semantic error occurred.',
        innererror: { code: 'SEM0100', message },
      });
    if (fault !== undefined) return bad(fault, 'SyntaxError');
    try {
      const [from = '', to = ''] = timespan.split('/');
      const { columns, rows } = carryOut(query, this.tables, { from, to });
      const kept = this.partial ? rows.slice(0, Math.ceil(rows.length / 2)) : rows;
      return {
        status: 200,
        body: {
          tables: [
            {
              name: 'PrimaryResult',
              columns: columns.map((name) => ({ name, type: 'string' })),
              rows: kept.map((row) => columns.map((name) => row[name] ?? null)),
            },
          ],
          ...(this.partial && {
            error: { code: 'PartialError', message: 'There were some errors when processing your query.' },
          }),
        },
      };
    } catch (thrown) {
      if (thrown instanceof QueryError) return bad(thrown.message);
      throw thrown;
    }
  }
}

const now = (): string => new Date().toISOString().replace('Z', '1234Z');

function resourceId(vault: string): string {
  return `/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/g/providers/microsoft.keyvault/vaults/${vault}`;
}
