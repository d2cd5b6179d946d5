// Generates completions and executes a program over TLS, with protos/ read as they are.
const { randomUUID } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { getProtoPath } = require('google-proto-files');

const { values: given } = parseArgs({
  options: {
    protos: { type: 'string', default: 'protos' },
    generator: { type: 'string', default: 'localhost:8033' },
    executor: { type: 'string', default: 'localhost:8035' },
    ca: { type: 'string', default: 'ca.crt' },
    certificate: { type: 'string' },
    key: { type: 'string' },
  },
});

const definitions = loader.loadSync(
  ['roundsmith/v1/generator.proto', 'roundsmith/v1/executor.proto'],
  { includeDirs: [given.protos, getProtoPath('..')], enums: String, keepCase: true, longs: String, defaults: true },
);
const { v1 } = grpc.loadPackageDefinition(definitions).roundsmith;
const pem = (path) => (path ? readFileSync(path) : null);
const secure = grpc.credentials.createSsl(pem(given.ca), pem(given.key), pem(given.certificate));
const within = (seconds) => ({ deadline: new Date(Date.now() + seconds * 1000) }); // every call needs one

const once = (client, method, request, seconds) =>
  new Promise((resolve, reject) => {
    client[method](request, within(seconds), (error, answer) => (error ? reject(error) : resolve(answer)));
  });

// Sends a good and a bad item over one stream. The bad one does not end it.
async function generate() {
  const client = new v1.GeneratorService(given.generator, secure);
  const model = await once(client, 'GetModel', {}, 10);
  console.log(`weights ${model.weights_sha256.slice(0, 12)}, reproducible ${model.reproducible}`);
  const stream = client.GenerateStream(within(120));
  const sampling = { max_tokens: 24, temperature: 0.8, stop: ['\ndef'] };
  const request_id = randomUUID(); // send what is unanswered again under the same one
  for (const item of [
    { item_id: 'good', prompt: { text: 'def add_one(x: int) -> int:\n' }, sampling, seed: 1, n: 2 },
    { item_id: 'bad', sampling, seed: 1, n: 1 },
  ]) {
    stream.write({ request_id, item, expected_weights_sha256: model.weights_sha256 });
  }
  stream.end();
  for await (const { item_id, completion, error, last } of stream) {
    if (error) console.log(`${item_id} failed: ${error.message}`);
    else console.log(item_id, completion.index, JSON.stringify(completion.text), completion.finish_reason, `last=${last}`);
  }
  client.close();
}

// Runs one program on two tests, of which one fails.
async function execute() {
  const client = new v1.ExecutorService(given.executor, secure);
  const call = { entry_point: 'add', args: [{ int_value: '2' }, { int_value: '3' }] };
  const expecting = (test_id, sum) => ({ test_id, call: { ...call, expected: { int_value: sum } } });
  const item = {
    item_id: 'matrix',
    programs: [{ code_id: 'sum', source: 'def add(a, b):\n    return a + b\n' }],
    tests: [expecting('is-5', '5'), expecting('is-6', '6')],
  };
  const { outcomes } = await once(client, 'Execute', { request_id: randomUUID(), item }, 60);
  for (const o of outcomes) console.log(o.code_id, o.test_id, o.verdict, o.label);
  client.close();
}

generate()
  .then(execute)
  .catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
