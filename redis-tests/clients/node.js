// ioredis and node-redis, as cluster clients and as plain ones, against a running cluster.
//
// usage: NODE_PATH=.../node_modules node node.js ioredis|redis FOLDER PORT...
//
// FOLDER: a file `restart` made there has the first node killed and started again, then there is a file `restarted`.
// Prints what is wrong and exits 1; 77 where the library is not installed. scripts/deps --clients installs both.
'use strict';
const assert = require('assert');
const fs = require('fs');
const path = require('path');

const [library, folder] = process.argv.slice(2, 4);
const ports = process.argv.slice(4).map(Number);
const binary = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.from('\r\n$5\r\n\0')]);

let loaded;
try {
  loaded = require(library);
} catch (error) {
  console.log(library + ' is not installed (scripts/deps --clients): skipped');
  process.exit(77);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Has the first node killed and started again.
async function restartFirst() {
  fs.writeFileSync(path.join(folder, 'restart'), '');
  const done = path.join(folder, 'restarted');
  for (let i = 0; !fs.existsSync(done); i++) {
    assert.ok(i < 3000, 'the first node was not restarted');
    await pause(20);
  }
  fs.unlinkSync(done);
}

// Runs it again and again while it fails, for a while.
async function insist(what) {
  for (let i = 0; ; i++) {
    try {
      return await what();
    } catch (error) {
      if (i === 200) throw error;
      await pause(50);
    }
  }
}

// RESP2 gives an array of two, RESP3 a map: as an object, or flat.
function contextOf(reply) {
  if (!Array.isArray(reply)) return [reply.context, reply.values];
  return reply.length === 4 ? [reply[1], reply[3]] : reply;
}

function expectKeys(found, prefix, count) {
  const wanted = Array.from({ length: count }, (_, i) => prefix + i).sort();
  assert.deepEqual([...new Set(found)].sort(), wanted);
}

// How many requests the nodes have passed on to each other; `info` asks one of them.
async function forwarded(info) {
  const texts = await Promise.all(ports.map(info));
  return texts.reduce((sum, text) => sum + Number(/requests_forwarded:(\d+)/.exec(text)[1]), 0);
}

// ---- ioredis

async function ioredisInfo(Redis, port) {
  const client = new Redis(port);
  const text = await client.info('dynamo');
  client.disconnect();
  return text;
}

async function ioredisScan(client, match) {
  const found = [];
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', match, 'COUNT', 20);
    assert.equal(typeof next, 'string');
    cursor = next;
    found.push(...keys);
  } while (cursor !== '0');
  return found;
}

async function ioredis(Redis) {
  const cluster = new Redis.Cluster(ports.map((port) => ({ host: '127.0.0.1', port })));
  await cluster.set('io0', 'first'); // it knows the map from here on
  const before = await forwarded((port) => ioredisInfo(Redis, port));
  for (let i = 0; i < 100; i++) {
    assert.equal(await cluster.set('io' + i, 'value' + i), 'OK');
    assert.equal(await cluster.get('io' + i), 'value' + i);
  }
  assert.equal(await forwarded((port) => ioredisInfo(Redis, port)), before);
  assert.equal(cluster.nodes('all').length, ports.length);
  const [context, values] = contextOf(await cluster.call('DYNGET', 'io1'));
  assert.deepEqual(values, ['value1']);
  await cluster.call('DYNSET', 'io1', 'other', 'CONTEXT', context);
  assert.equal(await cluster.get('io1'), 'other');
  for (const port of ports) {
    const plain = new Redis(port);
    assert.deepEqual(await plain.mget('io2', 'io3', 'nosuch'), ['value2', 'value3', null]);
    await plain.set(binary, binary);
    assert.ok(binary.equals(await plain.getBuffer(binary)));
    await plain.del(binary);
    const pipeline = plain.pipeline();
    for (let i = 0; i < 100; i++) pipeline.set('pipe' + i, i).get('pipe' + i);
    const replies = await pipeline.exec();
    replies.forEach(([error, reply], i) => assert.deepEqual([error, reply], [null, i % 2 ? String(i >> 1) : 'OK']));
    expectKeys(await ioredisScan(plain, 'io*'), 'io', 100);
    expectKeys(await plain.keys('pipe*'), 'pipe', 100);
    plain.disconnect();
  }
  const plain = new Redis(ports[0]);
  await plain.set('before', 'restart');
  await restartFirst();
  assert.equal(await insist(() => plain.get('before')), 'restart');
  for (let i = 0; i < 100; i++) assert.equal(await insist(() => cluster.get('io' + (i === 1 ? 2 : i))), 'value' + (i === 1 ? 2 : i));
  assert.equal(await plain.flushall(), 'OK');
  assert.equal(await plain.dbsize(), 0);
  plain.disconnect();
  cluster.disconnect();
}

// ---- node-redis

async function nodeRedisInfo(createClient, port) {
  const client = createClient({ url: 'redis://127.0.0.1:' + port });
  await client.connect();
  const text = await client.info('dynamo');
  await client.close();
  return text;
}

async function nodeRedis({ createClient, createCluster, RESP_TYPES }) {
  const quiet = () => {};
  const urls = ports.map((port) => ({ url: 'redis://127.0.0.1:' + port }));
  const cluster = createCluster({ rootNodes: urls });
  cluster.on('error', quiet);
  await cluster.connect();
  const before = await forwarded((port) => nodeRedisInfo(createClient, port));
  for (let i = 0; i < 100; i++) {
    assert.equal(await cluster.set('node' + i, 'value' + i), 'OK');
    assert.equal(await cluster.get('node' + i), 'value' + i);
  }
  assert.equal(await forwarded((port) => nodeRedisInfo(createClient, port)), before);
  for (const RESP of [2, 3]) {
    const plain = createClient({ ...urls[0], RESP });
    plain.on('error', quiet);
    await plain.connect();
    const [context, values] = contextOf(await plain.sendCommand(['DYNGET', 'node1']));
    assert.deepEqual(values, ['value1']);
    await plain.sendCommand(['DYNSET', 'node1', 'other', 'CONTEXT', context]);
    assert.equal(await plain.get('node1'), 'other');
    await plain.set('node1', 'value1');
    assert.deepEqual(await plain.mGet(['node1', 'node2', 'nosuch']), ['value1', 'value2', null]);
    await plain.set(binary, binary);
    const bytes = plain.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    assert.ok(binary.equals(await bytes.get(binary)));
    await plain.del(binary);
    // Commands of one tick are one pipeline.
    const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => (i % 2 ? plain.get('pipe' + (i >> 1)) : plain.set('pipe' + (i >> 1), String(i >> 1)))));
    replies.forEach((reply, i) => assert.equal(reply, i % 2 ? String(i >> 1) : 'OK'));
    const found = [];
    for await (const keys of plain.scanIterator({ MATCH: 'node*', COUNT: 20 })) found.push(...[keys].flat());
    expectKeys(found, 'node', 100);
    expectKeys(await plain.keys('pipe*'), 'pipe', 100);
    await plain.close();
  }
  const plain = createClient(urls[0]);
  plain.on('error', quiet);
  await plain.connect();
  await plain.set('before', 'restart');
  await restartFirst();
  assert.equal(await insist(() => plain.get('before')), 'restart');
  for (let i = 0; i < 100; i++) assert.equal(await insist(() => cluster.get('node' + i)), 'value' + i);
  assert.equal(await plain.flushAll(), 'OK');
  assert.equal(await plain.dbSize(), 0);
  await plain.close();
  await cluster.close();
}

const run = library === 'ioredis' ? ioredis(loaded.default || loaded) : nodeRedis(loaded);
run.then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
