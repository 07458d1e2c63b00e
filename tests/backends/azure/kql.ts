/**
 * As much of the Kusto query language as a union of filtered tables takes, carried out on rows in memory; and a check
 * of the whole query by Microsoft's language service (@kusto/language-service-next) against the tables' columns.
 * Source: https://learn.microsoft.com/kusto/query/
 */
import { createRequire } from 'node:module';

export type Row = Readonly<Record<string, unknown>>;
export interface Table {
  /** Types by the columns' names. */
  readonly columns: Record<string, string>;
  readonly rows: Row[];
}
export type Tables = ReadonlyMap<string, Table>;

export class QueryError extends Error {}

/* The language service is C#, translated; it puts itself in the global object. */
interface Kusto {
  readonly Language: {
    readonly GlobalState: { readonly Default: { WithDatabase(database: unknown): unknown } };
    readonly KustoCode: {
      ParseAndAnalyze(
        text: string,
        globals: unknown,
      ): { GetDiagnostics(): { Count?: number; getItem?(index: number): Diagnostic } };
    };
    readonly Symbols: {
      readonly TableSymbol: { From(schema: string): { WithName(name: string): unknown } };
      readonly DatabaseSymbol: { readonly ctor: new (name: string, tables: readonly unknown[]) => unknown };
    };
  };
}
interface Diagnostic {
  readonly Severity: string;
  readonly Message: string;
}

let kusto: Kusto | undefined;
function languageService(): Kusto {
  if (kusto === undefined) {
    const load = createRequire(import.meta.url);
    load('@kusto/language-service-next/bridge.min.js');
    load('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
    ({ Kusto: kusto } = globalThis as unknown as { Kusto: Kusto });
  }
  return kusto;
}

const checked = new Map<string, string | undefined>();

/** The first error that the language service finds; a table that a fuzzy union misses is none. */
export function findKqlFault(query: string, tables: Tables): string | undefined {
  // It takes a second: a query that differs in its times alone is not looked at again.
  const alike = query
    .replaceAll(/datetime\([\d:.TZ-]+\)/g, 'datetime(2026-11-24)')
    .replaceAll(/\btop \d+/g, 'top 1');
  const columns = [...tables].map(([name, table]) => [name, table.columns]);
  const key = JSON.stringify([alike, columns]);
  if (!checked.has(key)) checked.set(key, check(query, tables));
  return checked.get(key);
}

function check(query: string, tables: Tables): string | undefined {
  const { GlobalState, KustoCode, Symbols } = languageService().Language;
  const symbols = [...tables].map(([name, { columns }]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`);
    return Symbols.TableSymbol.From(`(${schema.join(', ')})`).WithName(name);
  });
  const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('workspace', symbols));
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  for (let index = 0; index < (found.Count ?? 0); index += 1) {
    const { Severity, Message } = found.getItem?.(index) ?? { Severity: '', Message: '' };
    if (Severity === 'Error') return Message;
  }
  return undefined;
}

type Value = unknown;
type Expression = (row: Row) => Value;
type Step = (rows: readonly Row[]) => readonly Row[];
interface Pipeline {
  readonly table: string | undefined;
  readonly steps: readonly Step[];
  /** Names of what the last `project` gives. */
  readonly columns: readonly string[];
}

const TOKEN =
  /\s*(?:(?<string>"(?:[^"\\]|\\.)*")|(?<datetime>datetime\([^)]*\))|(?<number>\d+)|(?<name>[A-Za-z_]\w*)|(?<symbol>==|=~|\.\.|[()|,=]))/gy;

/** Times compare by their hundred nanoseconds. */
function ticks(text: unknown): bigint {
  const [, whole = '', fraction = ''] = /^([^.]+?)(?:\.(\d+))?Z$/.exec(String(text)) ?? [];
  return BigInt(Date.parse(`${whole}Z`)) * 10_000n + BigInt(fraction.padEnd(7, '0').slice(0, 7));
}

const textOf = (value: Value): string =>
  value === null || value === undefined
    ? ''
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value);

/** Carries a query out, within the timespan of the request. @throws QueryError */
export function carryOut(
  query: string,
  tables: Tables,
  { from, to }: { readonly from: string; readonly to: string },
): { readonly columns: readonly string[]; readonly rows: readonly Row[] } {
  const { unions, rest } = new Parser(query, tables).query();
  const known = unions.filter(({ table }) => table !== undefined && tables.has(table));
  if (known.length === 0)
    throw new QueryError(
      `'union' operator: Failed to resolve table expression named '${unions[0]?.table ?? ''}'`,
    );
  const inSpan = (row: Row): boolean => {
    const at = ticks(row['TimeGenerated']);
    return at >= ticks(from) && at < ticks(to);
  };
  const united = known.flatMap(({ table = '', steps }) =>
    steps.reduce<readonly Row[]>((rows, step) => step(rows), tables.get(table)?.rows.filter(inSpan) ?? []),
  );
  return {
    columns: rest.columns,
    rows: rest.steps.reduce<readonly Row[]>((rows, step) => step(rows), united),
  };
}

class Parser {
  readonly #tokens: { readonly kind: string; readonly text: string }[] = [];
  readonly #tables: Tables;
  #at = 0;
  /** The table whose columns `column_ifexists` looks at. */
  #table: Table | undefined;

  constructor(text: string, tables: Tables) {
    this.#tables = tables;
    let length = 0;
    for (const match of text.matchAll(TOKEN)) {
      const [kind = '', found = ''] =
        Object.entries(match.groups ?? {}).find(([, one]) => one !== undefined) ?? [];
      this.#tokens.push({ kind, text: found as string });
      length += match[0].length;
    }
    if (length !== text.trimEnd().length)
      throw new QueryError(`this double can’t read ${text.slice(length, length + 20)}`);
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at]?.text;
  }

  #take(wanted?: string): string {
    const token = this.#peek();
    if (token === undefined || (wanted !== undefined && token !== wanted))
      throw new QueryError(`${wanted ?? 'more'} expected, not ${token}`);
    this.#at += 1;
    return token;
  }

  #has(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at += 1;
    return true;
  }

  query(): { unions: readonly Pipeline[]; rest: Pipeline } {
    for (const token of ['union', 'isfuzzy', '=', 'true']) this.#take(token);
    const unions: Pipeline[] = [];
    do {
      this.#take('(');
      const table = this.#take();
      this.#table = this.#tables.get(table);
      unions.push({ ...this.#steps(), table });
      this.#take(')');
    } while (this.#has(','));
    this.#table = undefined;
    const rest = this.#steps();
    if (this.#peek() !== undefined) throw new QueryError(`unexpected ${this.#peek()}`);
    return { unions, rest };
  }

  #steps(): Pipeline {
    const steps: Step[] = [];
    let columns: readonly string[] = [];
    while (this.#has('|')) {
      const operator = this.#take();
      if (operator === 'where') {
        const condition = this.#or();
        steps.push((rows) => rows.filter((row) => condition(row) === true));
      } else if (operator === 'project') {
        const items = this.#items();
        columns = items.map(([name]) => name);
        steps.push((rows) =>
          rows.map((row) => Object.fromEntries(items.map(([name, value]) => [name, value(row)]))),
        );
      } else if (operator === 'top') {
        const count = Number(this.#take());
        this.#take('by');
        const by = this.#take();
        this.#take('desc');
        const compare = (a: Row, b: Row): number =>
          ticks(a[by]) < ticks(b[by]) ? 1 : ticks(a[by]) > ticks(b[by]) ? -1 : 0;
        steps.push((rows) => rows.toSorted(compare).slice(0, count));
      } else {
        throw new QueryError(`this double does not know ${operator}`);
      }
    }
    return { table: undefined, steps, columns };
  }

  #items(): [string, Expression][] {
    const items: [string, Expression][] = [];
    do {
      const name = this.#take();
      items.push([name, this.#has('=') ? this.#or() : (row) => row[name]]);
    } while (this.#has(','));
    return items;
  }

  #or(): Expression {
    const terms = [this.#and()];
    while (this.#has('or')) terms.push(this.#and());
    return terms.length === 1 ? (terms[0] as Expression) : (row) => terms.some((term) => term(row) === true);
  }

  #and(): Expression {
    const terms = [this.#comparison()];
    while (this.#has('and')) terms.push(this.#comparison());
    return terms.length === 1 ? (terms[0] as Expression) : (row) => terms.every((term) => term(row) === true);
  }

  #comparison(): Expression {
    const left = this.#value();
    const lower = (value: Value): string => textOf(value).toLowerCase();
    const operators: Readonly<Record<string, (a: Value, b: Value) => boolean>> = {
      '==': (a, b) => textOf(a) === textOf(b),
      '=~': (a, b) => lower(a) === lower(b),
      contains: (a, b) => lower(a).includes(lower(b)),
      startswith: (a, b) => lower(a).startsWith(lower(b)),
      endswith: (a, b) => lower(a).endsWith(lower(b)),
    };
    const operator = this.#peek() ?? '';
    if (operator === 'between') {
      for (const token of ['between', '(']) this.#take(token);
      const from = this.#value();
      this.#take('..');
      const to = this.#value();
      this.#take(')');
      return (row) => ticks(left(row)) >= ticks(from(row)) && ticks(left(row)) <= ticks(to(row));
    }
    const compare = operators[operator];
    if (compare === undefined) return left;
    this.#take();
    const right = this.#value();
    return (row) => compare(left(row), right(row));
  }

  #value(): Expression {
    const { kind } = this.#tokens[this.#at] ?? { kind: '' };
    const token = this.#take();
    if (kind === 'string') {
      const text = token.slice(1, -1).replaceAll(/\\(.)/g, '$1');
      return () => text;
    }
    if (kind === 'datetime') return () => token.slice('datetime('.length, -1);
    if (kind === 'number') return () => Number(token);
    if (token === '(') {
      const inner = this.#or();
      this.#take(')');
      return inner;
    }
    if (kind !== 'name') throw new QueryError(`unexpected ${token}`);
    return this.#has('(') ? this.#call(token) : token === 'null' ? () => null : (row) => row[token];
  }

  #call(name: string): Expression {
    const values: Expression[] = [];
    if (!this.#has(')')) {
      do values.push(this.#or());
      while (this.#has(','));
      this.#take(')');
    }
    const [first = () => null, second = () => null] = values;
    switch (name) {
      case 'tostring':
        return (row) => textOf(first(row));
      case 'toint':
        return (row) =>
          first(row) === null || first(row) === undefined ? null : Math.trunc(Number(first(row)));
      case 'real':
        return () => null;
      case 'coalesce':
        // Of texts, an empty one is none.
        return (row) => values.map((value) => value(row)).find((value) => textOf(value) !== '') ?? '';
      case 'column_ifexists': {
        const column = textOf(first({}));
        return Object.hasOwn(this.#table?.columns ?? {}, column) ? (row) => row[column] : second;
      }
      case 'bag_pack':
        return (row) => {
          const bag: Record<string, Value> = {};
          for (let index = 0; index < values.length; index += 2)
            bag[textOf(values[index]?.(row))] = values[index + 1]?.(row);
          return bag;
        };
      default:
        throw new QueryError(`this double does not know ${name}()`);
    }
  }
}
