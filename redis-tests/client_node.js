// ioredis and node-redis, as cluster clients and as plain ones, against a running cluster.
//
// usage: NODE_PATH=.../node_modules node client_node.js PORT...
//
// Prints what is wrong and exits 1. Needs `npm install ioredis redis`.
'use strict';
const assert = require('assert');
const Redis = require('ioredis');
const { createCluster, createClient } = require('redis');

const ports = process.argv.slice(2).map(Number);

async function forwarded() {
  let sum = 0;
  for (const port of ports) {
    const client = new Redis(port);
    sum += Number(/requests_forwarded:(\d+)/.exec(await client.info('dynamo'))[1]);
    client.disconnect();
  }
  return sum;
}

// RESP2 gives an array of two, RESP3 a map.
function contextOf(reply) {
  return reply.length === 4 ? [reply[1], reply[3]] : reply;
}

async function ioredis() {
  const cluster = new Redis.Cluster(ports.map((port) => ({ host: '127.0.0.1', port })));
  for (let i = 0; i < 100; i++) {
    assert.equal(await cluster.set('io' + i, 'value' + i), 'OK');
    assert.equal(await cluster.get('io' + i), 'value' + i);
  }
  assert.equal(cluster.nodes('all').length, ports.length);
  const [context, values] = contextOf(await cluster.call('DYNGET', 'io1'));
  assert.deepEqual(values, ['value1']);
  await cluster.call('DYNSET', 'io1', 'other', 'CONTEXT', context);
  assert.equal(await cluster.get('io1'), 'other');
  cluster.disconnect();
  for (const port of ports) {
    const plain = new Redis(port);
    assert.deepEqual(await plain.mget('io2', 'io3', 'nosuch'), ['value2', 'value3', null]);
    plain.disconnect();
  }
}

async function nodeRedis() {
  const urls = ports.map((port) => ({ url: 'redis://127.0.0.1:' + port }));
  const cluster = createCluster({ rootNodes: urls });
  await cluster.connect();
  for (let i = 0; i < 100; i++) {
    assert.equal(await cluster.set('node' + i, 'value' + i), 'OK');
    assert.equal(await cluster.get('node' + i), 'value' + i);
  }
  await cluster.destroy();
  const plain = createClient({ ...urls[0], RESP: 3 });
  await plain.connect();
  assert.deepEqual({ ...(await plain.sendCommand(['DYNGET', 'node1'])) }.values, ['value1']);
  assert.deepEqual(await plain.mGet(['node1', 'node2', 'nosuch']), ['value1', 'value2', null]);
  await plain.destroy();
}

async function main() {
  const before = await forwarded();
  await ioredis();
  await nodeRedis();
  // ioredis does not ask which arguments of DYNSET are keys: that one goes to any node.
  const count = (await forwarded()) - before;
  assert.ok(count <= 1, count + ' requests were forwarded');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
