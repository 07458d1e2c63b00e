/** Loaded before the program (node --require): the wall clock is off by CLOCK_OFF milliseconds; timers are not. */
'use strict';
const off = Number(process.env['CLOCK_OFF'] ?? '0');
const Real = Date;

globalThis.Date = class Date extends Real {
  constructor(...args) {
    if (args.length === 0) super(Real.now() + off);
    else super(...args);
  }

  static now() {
    return Real.now() + off;
  }
};
