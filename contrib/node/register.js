// SPDX-License-Identifier: BSD-2-Clause
'use strict';
// node -r penstock/register app.js: servers of node:http and node:https that
// listen do so by a gateway, and `ws` is penstock/ws.
const cluster = require('cluster');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const { takeOver } = require('./lib/takeover');

const DIRECTORY = __dirname + path.sep;
const { skips } = require('./lib/skip');

// Our own parts get what they ask for.
const isOurs = (file) => file.startsWith(DIRECTORY) &&
  !file.slice(DIRECTORY.length).includes(`node_modules${path.sep}`) &&
  !/^(test|examples)[\\/]/.test(file.slice(DIRECTORY.length));

const load = Module._load;
Module._load = function penstock(request, parent, isMain) {
  if (request === 'ws' && parent && parent.filename &&
      !isOurs(parent.filename) && !skips(parent.filename))
    return load.call(this, path.join(DIRECTORY, 'ws.js'), parent, isMain);
  return load.call(this, request, parent, isMain);
};

// import: hooks that run where modules are resolved (Node 18.19, 20.6 and
// later); before, --loader penstock/loader does it.
const asked = process.execArgv.concat((process.env.NODE_OPTIONS || '')
  .split(' ')).some((word) => word.includes('penstock/loader'));
if (Module.register && !asked)
  Module.register('./loader.mjs', pathToFileURL(DIRECTORY));

// Each worker of a cluster listens by a gateway of its own, all on one port.
if (cluster.isPrimary && process.env.NODE_CLUSTER_SCHED_POLICY === undefined)
  cluster.schedulingPolicy = cluster.SCHED_NONE;

takeOver();
