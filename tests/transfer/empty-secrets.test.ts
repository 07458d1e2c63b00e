/** Secrets that Terraform or a console made without a value take their first one from every command that writes. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { type Aws, scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { ACCOUNT, startConjur } from '../backends/conjur.ts';
import { ADMIN, startGcp } from '../backends/gcp.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault } from '../backends/vault.ts';
import { type Outcome, makePlace, type Place } from '../e2e/program.ts';

interface Started {
  readonly env: Readonly<Record<string, string>>;
  make(name: string, place: Place): Promise<unknown>;
  stop(): Promise<unknown>;
}

async function aws(): Promise<Started> {
  const server: Aws = await startAws();
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  const sdk = await import('@aws-sdk/client-secrets-manager');
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = server.admin;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new sdk.SecretsManagerClient({ region: 'eu-west-1', endpoint: server.url, credentials });
  return {
    env: server.admin,
    make: (Name) => client.send(new sdk.CreateSecretCommand({ Name })),
    stop: () => {
      client.destroy();
      return server.stop();
    },
  };
}

async function vault(): Promise<Started> {
  const server = await startVault();
  return {
    env: { VAULT_ADDR: server.url, VAULT_TOKEN: server.token },
    make: (name) =>
      server.api('POST', `secret/metadata/${name}`, { custom_metadata: { owner: 'terraform' } }),
    stop: () => server.stop(),
  };
}

async function gcp(): Promise<Started> {
  const server = await startGcp();
  const admin = await server.account('admin', ADMIN);
  const { token = '' } = await server.door('token', { principal: `serviceAccount:${admin.email}` });
  const url = `${server.url}/v1/projects/${server.project}/secrets?secretId=`;
  return {
    env: server.env(admin),
    make: async (name, place) => {
      const { code, stderr } = await place.sh(
        `curl -sf --cacert '${server.caFile}' -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
           -d '{"replication":{"automatic":{}}}' '${url}${name}'`,
        { TOKEN: token },
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    },
    stop: () => server.stop(),
  };
}

async function conjur(): Promise<Started> {
  const server = await startConjur();
  return {
    env: server.env(),
    make: (name) =>
      server.api('PATCH', `/policies/${ACCOUNT}/policy/root`, `- !variable ${name}`, {
        'Content-Type': 'application/x-yaml',
      }),
    stop: () => server.stop(),
  };
}

describe.each([
  ['aws', awsFiles, aws],
  ['conjur', [], conjur],
  ['gcp', [], gcp],
  ['vault', vaultFiles, vault],
] as const)('in %s', (store, files, start) => {
  describeWith('a secret without a value', files, () => {
    let server: Started;
    let place: Place;
    beforeAll(async () => {
      server = await start();
      place = await makePlace();
      const target = { type: 'program', apply: './apply', verify: 'none' };
      const rotation = {
        [`${store}://rotated`]: { every: '30d' },
        [`${store}://absent`]: { every: '30d' },
        [`${store}://told`]: { every: '30d', target },
      };
      writeFileSync(join(place.cwd, 'apply'), '#!/bin/sh\ncat >/dev/null; echo was told >>applied\n', {
        mode: 0o755,
      });
      writeFileSync(join(place.cwd, 'applied'), '');
      writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
      writeFileSync(join(place.cwd, 'in.env'), 'X=1\n');
      for (const name of [
        'plain',
        'map',
        'claimed',
        'imported',
        'copied',
        'rotated',
        'told',
        'unset-a',
        'gone',
      ])
        await server.make(name, place);
    });
    afterAll(async () => {
      await place.remove();
      await server.stop();
    });
    const sh = (script: string): Promise<Outcome> =>
      place.sh(`secrets() { command secrets "$@" --trust; }; ${script}`, {
        ...server.env,
        SECRETS_LOCAL_KEY_METHOD: 'key-file',
      });

    test('takes its first one from every command that writes', async () => {
      const none = await sh(`secrets get ${store}://plain`);
      expect(none).toMatchObject({ code: 3, stderr: expect.stringContaining('has no value yet') });
      // Conjur has no conditional write.
      const unlessThere = store === 'conjur' ? '' : '--if-absent';
      const { stdout, stderr } = await sh(`
        printf one | secrets put --quiet ${store}://plain && secrets get ${store}://plain --newline
        printf two | secrets put --quiet '${store}://map#key' && secrets get '${store}://map#key' --newline
        printf three | secrets put --quiet ${unlessThere} ${store}://claimed && secrets get ${store}://claimed --newline
        secrets import --quiet in.env ${store}://imported --dry-run
        secrets import --quiet in.env ${store}://imported && secrets get '${store}://imported#X' --newline
        printf four | secrets put --quiet local://from
        secrets copy --quiet local://from ${store}://copied --dry-run
        secrets copy --quiet local://from ${store}://copied && secrets get ${store}://copied --newline`);
      const [imported, copied] = [
        `\t${store}://imported\t\t(first value; takes X)\n`,
        `\t${store}://copied\tlocal://from\t(first value)\n`,
      ];
      // They are there, so they aren't created.
      expect({ stdout, stderr }).toEqual({
        stdout: `one\ntwo\nthree\nupdate${imported}updated${imported}1\nupdate${copied}updated${copied}four\n`,
        stderr: '',
      });
    });

    test('is named as such by a dry run, and passed over by a copy of many', async () => {
      expect((await sh(`printf x | secrets put --dry-run ${store}://unset-a`)).stdout).toBe(
        `${store}://unset-a: would write its first value\n`,
      );
      const many = `'${store}://unset-*' 'local://many/'`;
      const { stdout, code } = await sh(`
        secrets copy ${many} && secrets diff ${many} --exit-code && secrets diff ${many} --json
        printf kept | secrets put --quiet local://many/a && printf old | secrets put --quiet local://many/gone
        secrets sync ${many} --delete --yes && secrets get local://many/a`);
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: [
          `skipped\tlocal://many/a\t${store}://unset-a\t(no value yet)`,
          '{\n  "same": 0,\n  "withoutValue": 1,\n  "differences": []\n}',
          // What has a value in the target alone is kept, and what the source doesn't have is deleted.
          `skipped\tlocal://many/a\t${store}://unset-a\t(no value yet)`,
          'deleted\tlocal://many/gone\t\t',
          'kept',
        ].join('\n'),
      });
      const one = await sh(`secrets copy ${store}://unset-a local://one`);
      expect(one).toMatchObject({ code: 3, stderr: expect.stringContaining('has no value yet') });
    });

    const testWhereNamesAreKept = store === 'aws' || store === 'gcp' ? test : () => {};
    testWhereNamesAreKept('is deleted like others, and a dry run meets it like the run', async () => {
      await sh(`secrets delete ${store}://gone && printf x | secrets put --quiet local://y`);
      const deleted = await sh(`secrets get ${store}://gone`);
      expect(deleted).toMatchObject({
        code: 3,
        stderr: expect.stringContaining('is deleted; secrets restore'),
      });
      for (const write of [
        `printf x | secrets put ${store}://gone`,
        `printf x | secrets put '${store}://gone#key'`,
        `secrets import in.env ${store}://gone`,
        `secrets copy local://y ${store}://gone`,
      ])
        for (const how of ['--dry-run', '']) {
          const { code, stderr } = await sh(`${write} ${how}`);
          expect([write, how, code, stderr]).toEqual([
            write,
            how,
            5,
            expect.stringContaining('a deleted secret blocks this name'),
          ]);
        }
    });

    test('is rotated without leave to create it, and one that is not there is not', async () => {
      const absent = await sh(`secrets rotate --quiet ${store}://absent`);
      expect(absent).toMatchObject({ code: 3, stderr: expect.stringContaining('pass --create') });
      for (const how of ['--dry-run', '', '--dry-run', '']) {
        const { code, stderr } = await sh(`secrets rotate --quiet ${how} ${store}://rotated`);
        expect([how, code, stderr]).toEqual([how, 0, '']);
      }
      expect((await sh(`secrets get ${store}://rotated`)).stdout).toMatch(/^\S{20,}$/);
    });

    test('is rotated for a target, or refused before anything is stored, by --dry-run and the run alike', async () => {
      const refused = {
        code: 2,
        stderr: expect.stringContaining('store the value that the target accepts now'),
      };
      for (const how of ['--dry-run', '']) {
        const { code, stderr } = await sh(
          `secrets rotate --quiet ${how} ${store}://told; e=$?; cat applied >&2; exit $e`,
        );
        if (store === 'aws') expect({ code, stderr }).toMatchObject(refused);
        else expect([how, code]).toEqual([how, 0]);
        expect([how, stderr.includes('was told')]).toEqual([how, store !== 'aws' && how === '']);
      }
    });
  });
});
