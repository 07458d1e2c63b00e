/** The query for Key Vault's audit events in the Kusto query language, with the same columns from either table. */
import { SecretsError } from '../../core/errors.ts';

/** The columns of the result. `Time` keeps all seven digits of a second. */
export const COLUMNS = [
  'Time',
  'Operation',
  'Status',
  'Result',
  'Claims',
  'Address',
  'Agent',
  'Correlation',
  'Uri',
  'Id',
  'Source',
] as const;

export interface QueryParts {
  /** The vault's name. */
  readonly vault: string;
  /** Azure's names of the secrets; all secrets if missing. */
  readonly secrets: readonly string[] | undefined;
  readonly since: Date;
  /** An ISO 8601 time of any precision. */
  readonly until: string;
  /** The maximum of rows. */
  readonly size: number;
}

/**
 * Claims that have their own column in the table; a column only exists once an entry has had the claim. Source:
 * https://learn.microsoft.com/azure/azure-monitor/reference/tables/azurediagnostics
 */
const CLAIM_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  oid: [
    'identity_claim_oid_g',
    'identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g',
  ],
  upn: ['identity_claim_upn_s', 'identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s'],
  unique_name: ['identity_claim_unique_name_s'],
  appid: ['identity_claim_appid_g'],
  xms_mirid: ['identity_claim_xms_mirid_s', 'identity_claim_xms_az_rid_s'],
};

export function queryOf({ vault, secrets, since, until, size }: QueryParts): string {
  const column = (name: string): string => `tostring(column_ifexists("${name}", ""))`;
  const claims = Object.entries(CLAIM_COLUMNS).map(([claim, columns]) => {
    const [first = '', second] = columns.map(column);
    return `"${claim}", ${second === undefined ? first : `coalesce(${first}, ${second})`}`;
  });
  const ofVault = `_ResourceId endswith ${quoted(`/vaults/${vault}`)}`;
  return [
    'union isfuzzy=true',
    '(AZKVAuditLogs',
    `| where TimeGenerated between (${time(since.toISOString())} .. ${time(until)}) and ${ofVault}`,
    '| project At = TimeGenerated, Operation = OperationName, Status = toint(HttpStatusCode), Result = tostring(ResultSignature), Claims = tostring(Identity), Address = CallerIpAddress, Agent = ClientInfo, Correlation = CorrelationId, Uri = RequestUri, Id = Id, Source = "AZKVAuditLogs"),',
    '(AzureDiagnostics',
    `| where TimeGenerated between (${time(since.toISOString())} .. ${time(until)}) and ${ofVault}`,
    '| where ResourceProvider =~ "MICROSOFT.KEYVAULT" and Category == "AuditEvent"',
    `| project At = TimeGenerated, Operation = OperationName, Status = toint(column_ifexists("httpStatusCode_d", real(null))), Result = tostring(ResultSignature), Claims = tostring(bag_pack(${claims.join(', ')})), Address = ${column('CallerIPAddress')}, Agent = ${column('clientInfo_s')}, Correlation = tostring(CorrelationId), Uri = ${column('requestUri_s')}, Id = ${column('id_s')}, Source = "AzureDiagnostics")`,
    secrets === undefined
      ? '| where Operation startswith "Secret" or Operation startswith "Vault"'
      : '| where Operation startswith "Secret"',
    ...(secrets === undefined
      ? []
      : [
          `| where ${[...new Set(secrets)].map((secret) => `Uri contains ${quoted(`secrets/${secret}`)} or Id contains ${quoted(`secrets/${secret}`)}`).join(' or ')}`,
        ]),
    `| top ${size} by At desc`,
    `| project Time = tostring(At), ${COLUMNS.slice(1).join(', ')}`,
  ].join('\n');
}

/** A quoted string in Kusto. Source: https://learn.microsoft.com/kusto/query/scalar-data-types/string */
export function quoted(text: string): string {
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text))
    throw new SecretsError('Invalid', 'a name holds control characters');
  return `"${text.replaceAll(/[\\"]/g, String.raw`\$&`)}"`;
}

/** @throws SecretsError Unavailable for anything but a time; the text may come from a response */
function time(text: string): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/.test(text))
    throw new SecretsError('Unavailable', 'the response is not from Azure Monitor');
  return `datetime(${text})`;
}
