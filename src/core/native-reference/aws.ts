/** References that AWS's own services resolve: CloudFormation, the CDK, ECS and Lambda. */
import { SecretsError } from '../errors.ts';
import { awsStage, type NativeSecret, plainKey, quote, refuse, wholeOnly, type Writer } from './secret.ts';

/** A colon would end the part, braces the reference; CloudFormation can't resolve a backslash at the end. */
const KEY = /^[A-Za-z0-9_$@.=+-][\w$@./=+-]*$/;

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html */
export const cloudformation: Writer = (secret) => {
  const parts = ['SecretString', plainKey(secret, 'CloudFormation', KEY) ?? ''];
  parts.push(awsStage(secret) ?? '', secret.version ?? '');
  while (parts.at(-1) === '') parts.pop();
  const rest = parts.length === 1 ? '' : `:${parts.join(':')}`;
  return `{{resolve:secretsmanager:${secret.name}${rest}}}\n`;
};

export const cdk: Writer = (secret) => {
  const options = Object.entries({
    jsonField: plainKey(secret, 'The CDK', KEY),
    versionStage: awsStage(secret),
    versionId: secret.version,
  }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${quote(value)}`]));
  const rest = options.length === 0 ? '' : `, { ${options.join(', ')} }`;
  return `SecretValue.secretsManager(${quote(secret.name)}${rest})\n`;
};

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html */
export const ecs: Writer = (secret, { variable }) => {
  const parts = [plainKey(secret, 'ECS', KEY) ?? '', awsStage(secret) ?? '', secret.version ?? ''];
  const rest = parts.every((part) => part === '') ? '' : `:${parts.join(':')}`;
  const secrets = [{ name: variable, valueFrom: `${identifier(secret)}${rest}` }];
  return `${JSON.stringify({ secrets }, undefined, 2)}\n`;
};

/** The extension's address: a value in the function's variables would be in its configuration for all to read. */
export const lambda: Writer = (secret) => {
  wholeOnly(secret, 'The Lambda extension');
  const query = new URLSearchParams({ secretId: secret.name });
  const stage = awsStage(secret);
  if (stage !== undefined) query.set('versionStage', stage);
  if (secret.version !== undefined) query.set('versionId', secret.version);
  return `http://localhost:2773/secretsmanager/get?${query.toString()}\n`;
};

function identifier(secret: NativeSecret): string {
  if (secret.id !== undefined) return secret.id;
  throw refuse(secret, 'ECS needs the ARN, and the store didn’t give one', 'allow DescribeSecret');
}

/**
 * Properties that AWS takes and never gives back (`writeOnlyProperties` of its resource schemas). Anywhere else the
 * resolved value can be read by whoever may describe the resource.
 */
export const WRITE_ONLY: readonly string[] = [
  'AWS::AmazonMQ::Broker.LdapServerMetadata.ServiceAccountPassword',
  'AWS::Amplify::App.AccessToken',
  'AWS::Amplify::App.OauthToken',
  'AWS::AppStream::DirectoryConfig.ServiceAccountCredentials.AccountPassword',
  'AWS::CodeBuild::SourceCredential.Token',
  'AWS::CodePipeline::Webhook.AuthenticationConfiguration.SecretToken',
  'AWS::Connect::User.Password',
  'AWS::DMS::Endpoint.Password',
  'AWS::DMS::Endpoint.KafkaSettings.SaslPassword',
  'AWS::DMS::Endpoint.MongoDbSettings.Password',
  'AWS::DMS::Endpoint.RedisSettings.AuthPassword',
  'AWS::DataSync::LocationFSxWindows.Password',
  'AWS::DataSync::LocationObjectStorage.SecretKey',
  'AWS::DataSync::LocationSMB.Password',
  'AWS::DirectoryService::MicrosoftAD.Password',
  'AWS::DirectoryService::SimpleAD.Password',
  'AWS::DocDBElastic::Cluster.AdminUserPassword',
  'AWS::ElastiCache::ReplicationGroup.AuthToken',
  'AWS::ElastiCache::User.Passwords',
  'AWS::Events::Connection.AuthParameters.ApiKeyAuthParameters.ApiKeyValue',
  'AWS::Events::Connection.AuthParameters.BasicAuthParameters.Password',
  'AWS::Events::Connection.AuthParameters.OAuthParameters.ClientParameters.ClientSecret',
  'AWS::FSx::StorageVirtualMachine.SvmAdminPassword',
  'AWS::IAM::User.LoginProfile.Password',
  'AWS::KinesisFirehose::DeliveryStream.RedshiftDestinationConfiguration.Password',
  'AWS::Lightsail::Database.MasterUserPassword',
  'AWS::QuickSight::DataSource.Credentials',
  'AWS::RDS::DBCluster.MasterUserPassword',
  'AWS::RDS::DBInstance.MasterUserPassword',
  'AWS::Redshift::Cluster.MasterUserPassword',
  'AWS::RedshiftServerless::Namespace.AdminUserPassword',
  'AWS::SecretsManager::Secret.SecretString',
  'AWS::Timestream::InfluxDBInstance.Password',
];

/** Places where a value would be shown, and the right way for each. */
const SHOWN: readonly (readonly [RegExp, string, string])[] = [
  [
    /^Parameters?\b/,
    'the value of a parameter is shown with the stack',
    'put the reference into the property itself',
  ],
  [
    /^Outputs?\b/,
    'outputs are shown with the stack',
    'give readers the reference, or output the secret’s ARN',
  ],
  [
    /^(Metadata|Mappings|Conditions|Description|Transform)\b|\.Metadata\b/,
    'this part of a template is shown in clear text',
    'let the instance read the secret: secrets exec',
  ],
  [
    /^AWS::Lambda::\w+\.Environment\b/,
    'whoever may read the function’s configuration would read the value',
    'use --for lambda',
  ],
  [
    /^AWS::ECS::TaskDefinition\.ContainerDefinitions\b/,
    'whoever may describe the task definition would read the value',
    'use --for ecs',
  ],
  [
    /\.UserData$/,
    'whoever may describe the instance would read the value',
    'let the instance read the secret when it starts: secrets exec',
  ],
];

/** @throws SecretsError Unsupported unless AWS never shows what stands in this place of a template */
export function checkPlaceInTemplate(place: string, reference: string): void {
  if (WRITE_ONLY.includes(place)) return;
  const [, why, hint] = SHOWN.find(([pattern]) => pattern.test(place)) ?? [];
  throw new SecretsError(
    'Unsupported',
    why ?? `${JSON.stringify(place.slice(0, 200))} isn’t known to hide its value`,
    {
      reference,
      hint:
        hint ?? 'name a write-only property, such as AWS::RDS::DBInstance.MasterUserPassword, or omit --into',
    },
  );
}
