import { isHarmlessLiteral, isPlainData, steers } from '../../../src/core/environment/steering.ts';
import { CREDENTIALS, MANUALS, OF_APPLICATIONS } from '../../config/manuals.ts';

const words = (text: string): readonly string[] => text.split(' ');

/** Who somebody is: keys of many a JSON secret. Where they are inherited, a listing does not replace them. */
const PERSONS = new Set(['USER', 'EMAIL']);

test('the table of manuals is one of many programs', () => {
  expect(Object.keys(MANUALS).length).toBeGreaterThan(40);
});

test.each(Object.entries(MANUALS))(
  'what the manual of %s names steers, and is no harmless literal',
  (_, names) => {
    expect(words(names).filter((name) => !steers(name) && !PERSONS.has(name))).toEqual([]);
    expect(words(names).filter((name) => !steers(name.toLowerCase()) && !PERSONS.has(name))).toEqual([]);
    for (const name of words(names))
      for (const value of ['', '1', 'info', '8080', 'x', './x.sh', 'https://x.example'])
        expect([name, isHarmlessLiteral(name, value)]).toEqual([name, false]);
  },
);

test('the credentials among them do not, nor do names that applications give their secrets', () => {
  expect(words(CREDENTIALS).filter(steers)).toEqual([]);
  expect(words(OF_APPLICATIONS).filter(steers)).toEqual([]);
});

/** What tools obey beside the manuals: of none of them may a listing, or a file that nobody has trusted, make a variable. */
const OBEYED =
  'RESTIC_PASSWORD_COMMAND RESTIC_REPOSITORY FZF_DEFAULT_COMMAND FZF_DEFAULT_OPTS ES_JAVA_OPTS RABBITMQ_CONF_ENV_FILE MC_HOST_S3 MC_HOST_TOKEN RCLONE_CONFIG RCLONE_CONFIG_S3_TOKEN BORG_RSH BORG_REMOTE_PATH BORG_PASSCOMMAND RIPGREP_CONFIG_PATH DIRENV_CONFIG MISE_SHELL ASDF_DIR STARSHIP_CONFIG NNN_PLUG NNN_OPENER BAT_PAGER BAT_CONFIG_PATH SHELLCHECK_OPTS SCONSFLAGS PM2_HOME MAILRC MAILCAPS PRISMA_QUERY_ENGINE_LIBRARY ESBUILD_BINARY_PATH BAZELISK_BASE_URL USE_BAZEL_VERSION HADOOP_CLASSPATH HADOOP_OPTS SPARK_HOME SPARK_SUBMIT_OPTS HIVE_CONF_DIR HBASE_OPTS AIRFLOW_HOME AIRFLOW__CORE__PLUGINS_FOLDER OMPI_MCA_plm_rsh_agent HYDRA_LAUNCHER CUDA_INJECTION64_PATH OMP_TOOL_LIBRARIES OCL_ICD_VENDORS LIBVA_DRIVERS_PATH LADSPA_PATH MAGICK_CONFIGURE_PATH GS_LIB GS_OPTIONS TEXMFCNF TEXMFHOME OCTAVE_PATH JYTHONPATH SBCL_HOME DEVELOPER_DIR SDKROOT ANDROID_HOME ANDROID_SDK_ROOT PUB_HOSTED_URL FLUTTER_STORAGE_BASE_URL OPENAI_BASE_URL ANTHROPIC_BASE_URL HF_ENDPOINT HF_HOME SONAR_HOST_URL SONAR_SCANNER_OPTS S3_ENDPOINT_URL CI_SERVER_URL TRIVY_SERVER FLYWAY_URL FLYWAY_LOCATIONS DBT_PROFILES_DIR RAY_ADDRESS'.split(
    ' ',
  );
/** Names that nobody knows: a tool of tomorrow may obey them. */
const UNKNOWN =
  'FOO A X_MODE ACME_COMMAND ACME_RSH ACME_OPTS ACME_HOME ACME_LAUNCHER ACME_PLUGIN ACME_PATH ACME_URL ACME_HOST API_URL GREETING TF_VAR_module_source TF_VAR_x CONTAINER DEPLOY_URL __PROTO__ constructor'.split(
    ' ',
  );

test.each([...OBEYED, ...UNKNOWN])('%s is no plain data', (name) => {
  expect([isPlainData(name), isPlainData(name.toLowerCase())]).toEqual([false, false]);
});

test('what tools obey does not become harmless by a prefix that makes its name', () => {
  expect(OBEYED.filter((name) => !steers(name))).toEqual([]);
});

test.each(
  'DATABASE_URL DB_URL APP_DB_URL APP_DATABASE_URL REDIS_URL MONGO_URI AMQP_URL HOST PORT USER USERNAME PASSWORD DATABASE DBNAME ENGINE NAME URL URI DSN SENTRY_DSN DB_HOST DB_PORT DB_NAME DB_USER DB_PASSWORD PASS_WORD STRIPE_KEY API_KEY TLS_CERT TLS_KEY JWT_SECRET SESSION_SECRET CLIENT_ID CLIENTSECRET APIKEY DBINSTANCEIDENTIFIER MASTERARN SLACK_WEBHOOK_URL GITHUB_TOKEN PGPASSWORD VAULT_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN RESTIC_PASSWORD HF_TOKEN _2FA_SECRET TF_VAR_db_password TF_VAR_api_token'.split(
    ' ',
  ),
)('%s is', (name) => {
  expect(isPlainData(name)).toBe(true);
});

test.each([
  ['LOG_LEVEL', 'debug', true],
  ['LOG_LEVEL', '3', true],
  ['LOG_LEVEL', '../x', false],
  ['LOG_LEVEL', 'info\n', false],
  ['log_level', 'info', false],
  ['LOG_FORMAT', 'json', true],
  ['LOG_FORMAT', '%n', false],
  ['PORT', '8080', true],
  ['PORT', '0x1f90', false],
  ['PORT', 'tcp://10.0.0.1:80', false],
  ['PGPORT', '8080', false],
  ['constructor', 'x', false],
  ['__proto__', 'x', false],
])('a stranger may set %s to %j: %j', (name, value, expected) => {
  expect(isHarmlessLiteral(name, value)).toBe(expected);
});
