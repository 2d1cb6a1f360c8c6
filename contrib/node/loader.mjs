// SPDX-License-Identifier: BSD-2-Clause
// import 'ws' is penstock/ws, as penstock/register has it.
import { fileURLToPath } from 'url';
import skip from './lib/skip.js';

const OWN = new URL('./', import.meta.url).href;
const WS = new URL('./ws.mjs', import.meta.url).href;

export async function resolve(specifier, context, next) {
  const parent = context.parentURL;
  if (specifier === 'ws' && parent && !parent.startsWith(`${OWN}lib/`) &&
      !(parent.startsWith('file:') && skip.skips(fileURLToPath(parent))))
    return { url: WS, shortCircuit: true };
  return next(specifier, context);
}
