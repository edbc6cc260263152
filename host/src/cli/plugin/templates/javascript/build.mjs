// Makes a component of app.js. What is disabled would be imports that the host does not have.
import { readFile, writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize(await readFile('app.js', 'utf8'), {
  witPath: 'wit',
  worldName: 'app',
  disableFeatures: ['http', 'fetch-event', 'random', 'clocks', 'stdio'],
});
await writeFile('app.wasm', component);
