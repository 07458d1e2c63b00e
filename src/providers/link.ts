/** A link of the chain around a provider: the same methods, each with what the link does for it. */
import type { Provider } from './provider.ts';

/** The methods of providers, without their other members. */
export type Methods = {
  [
    M in keyof Provider as NonNullable<Provider[M]> extends (...args: never[]) => unknown ? M : never
  ]-?: NonNullable<Provider[M]>;
};

/** What a link does for each method; `undefined` if nothing. The type makes every new method decide. */
export type Link<Of> = {
  readonly [M in keyof Methods]-?: ((of: Of, call: Methods[M]) => Methods[M]) | undefined;
};

/** The provider with a link around it. It has the same methods as before. */
export function linked<Of>(provider: Provider, link: Link<Of>, of: Of): Provider {
  return new Proxy(provider, {
    // Read from and bound to the original object, because it may have private fields.
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const call: unknown = value.bind(target);
      const wrap = Object.hasOwn(link, name) ? link[name as keyof Methods] : undefined;
      return wrap === undefined ? call : (wrap as (of: Of, method: unknown) => unknown)(of, call);
    },
  });
}
