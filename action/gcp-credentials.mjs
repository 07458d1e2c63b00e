// Writes the file of Google's workload identity federation that reads the token from a file (AIP-4117).
import { writeFileSync } from 'node:fs';

const [provider = '', account = '', token = '', file = ''] = process.argv.slice(2);
const credentials = {
  type: 'external_account',
  audience: `//iam.googleapis.com/${provider}`,
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  token_url: 'https://sts.googleapis.com/v1/token',
  credential_source: { file: token },
  ...(account !== '' && {
    service_account_impersonation_url: `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateAccessToken`,
  }),
};
writeFileSync(file, JSON.stringify(credentials), { mode: 0o600, flag: 'wx' });
