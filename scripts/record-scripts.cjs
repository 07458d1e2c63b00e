// Preloaded by scripts/code-cache.mjs: keeps each script that bin/secrets makes, and at the end writes V8's compiled
// form of it, with every function that ran. Only the build uses it.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const made = [];
vm.Script = class extends vm.Script {
  constructor(text, options) {
    super(text, options);
    made.push([path.basename(options.filename), this]);
  }
};
process.on('exit', () => {
  for (const [name, script] of made)
    fs.writeFileSync(path.join(process.env.RECORD_TO, `${name}.bin`), script.createCachedData());
});
