import { makePlace } from '../e2e/program.ts';

test('programs that set different keys of one secret at the same time lose none', async () => {
  const place = await makePlace();
  try {
    await place.sh('printf x | secrets put --quiet shared#first');
    const names = Array.from({ length: 8 }, (_, index) => `key${index}`);
    const outcomes = await Promise.all(
      names.map((name) => place.sh(`printf ${name} | secrets put shared#${name}`)),
    );
    expect(outcomes.map(({ code, stderr }) => `${code}${stderr}`)).toEqual(names.map(() => '0'));
    const { stdout } = await place.sh('secrets get shared');
    expect(JSON.parse(stdout)).toEqual({
      first: 'x',
      ...Object.fromEntries(names.map((name) => [name, name])),
    });
    const history = await place.sh('secrets history shared --json');
    expect((JSON.parse(history.stdout) as { versions: unknown[] }).versions).toHaveLength(names.length + 1);
  } finally {
    await place.remove();
  }
});
