// grpc.js - grpc-js for tests/http/judges/grpc: "ask ADDRESS" judges our server, "serve" is a server
// for our client and prints its port. The service is that of grpc_judged.c.
'use strict';
const assert = require('assert');
const grpc = require('@grpc/grpc-js');

const same = (value) => value;
const method = (name, requestStream, responseStream) => ({
    path: '/judge.Judge/' + name, requestStream, responseStream, requestSerialize: same,
    requestDeserialize: same, responseSerialize: same, responseDeserialize: same});
const service = {
    Echo: method('Echo', false, false), Stream: method('Stream', false, true),
    Count: method('Count', true, false), Chat: method('Chat', true, true),
    Fail: method('Fail', false, false), Sleep: method('Sleep', false, false),
    Left: method('Left', false, false), Cancels: method('Cancels', false, false)};

const mine = (metadata) => {
    const out = new grpc.Metadata();
    for (const name of Object.keys(metadata.getMap()))
        if (name.startsWith('x-'))
            for (const value of metadata.get(name))
                out.add(name, value);
    return out;
};

// ---- a server ------------------------------------------------------------------------------------

let cancels = 0;

const handlers = {
    Echo(call, done) {
        call.sendMetadata(mine(call.metadata));
        done(null, call.request, mine(call.metadata));
    },
    Stream(call) {
        const [count, size] = call.request.toString().split(' ').map(Number);
        for (let i = 0; i < count; i++)
            call.write(Buffer.alloc(size));
        call.end();
    },
    Count(call, done) {
        let count = 0, sum = 0;
        call.on('data', (message) => { count++; sum += message.length; });
        call.on('end', () => done(null, Buffer.from(`${count} ${sum}`)));
    },
    Chat(call) {
        call.on('data', (message) => call.write(message));
        call.on('end', () => call.end());
    },
    Fail(call, done) {
        const text = call.request.toString(), at = text.indexOf(' ');
        const metadata = new grpc.Metadata();
        metadata.set('grpc-status-details-bin', Buffer.from([8, Number(text.slice(0, at))]));
        done({code: Number(text.slice(0, at)), details: text.slice(at + 1), metadata});
    },
    Sleep(call) {
        call.sendMetadata(new grpc.Metadata());
        call.on('cancelled', () => { cancels++; });
    },
    Left(call, done) {
        done(null, Buffer.from(String(Number(call.getDeadline()) - Date.now())));
    },
    Cancels(call, done) {
        done(null, Buffer.from(String(cancels)));
    },
};

function serve() {
    const server = new grpc.Server();
    server.addService(service, handlers);
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
        assert.ifError(error);
        console.log(port);
    });
}

// ---- a client ------------------------------------------------------------------------------------

const Client = grpc.makeGenericClientConstructor(service, 'Judge');

function unary(client, name, request, metadata = new grpc.Metadata(), options = {}) {
    return new Promise((resolve) => {
        const out = {};
        const call = client[name](request, metadata, options, (error, reply) => {
            Object.assign(out, {error, reply});
        });
        call.on('metadata', (head) => { out.head = head; });
        call.on('status', (status) => setImmediate(() => resolve(Object.assign(out, {status}))));
    });
}

function stream(call, messages) {
    return new Promise((resolve, reject) => {
        const out = [];
        call.on('data', (message) => out.push(message));
        call.on('error', reject);
        call.on('end', () => resolve(out));
        for (const message of messages || [])
            call.write(message);
        if (messages)
            call.end();
    });
}

async function ask(address) {
    const client = new Client(address, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    metadata.add('x-text', 'some words');
    metadata.add('x-data-bin', Buffer.from([0, 255, 1]));
    const big = Buffer.alloc(3 << 20, 'b');

    let got = await unary(client, 'Echo', Buffer.from('hello'), metadata);
    assert.ifError(got.error);
    assert.strictEqual(got.reply.toString(), 'hello');
    for (const side of [got.head, got.status.metadata]) {
        assert.deepStrictEqual(side.get('x-text'), ['some words']);
        assert.deepStrictEqual(side.get('x-data-bin'), [Buffer.from([0, 255, 1])]);
    }
    got = await unary(client, 'Echo', big);
    assert.ok(big.equals(got.reply));
    const messages = await stream(client.Stream(Buffer.from('100 20000')));
    assert.deepStrictEqual(messages.map((m) => m.length), Array(100).fill(20000));
    const count = await new Promise((resolve, reject) => {
        const call = client.Count((error, reply) => error ? reject(error) : resolve(reply));
        for (let i = 0; i < 1000; i++)
            call.write(Buffer.from('0123456789'));
        call.end();
    });
    assert.strictEqual(count.toString(), '1000 10000');
    const words = Array.from({length: 200}, (_, i) => Buffer.alloc(i * 37, i));
    assert.deepStrictEqual(await stream(client.Chat(), words), words);
    for (let code = 1; code <= 16; code++) {
        got = await unary(client, 'Fail', Buffer.from(`${code} nämlich, 100%`));
        assert.strictEqual(got.error.code, code);
        assert.strictEqual(got.error.details, 'nämlich, 100%');
        assert.deepStrictEqual(got.error.metadata.get('grpc-status-details-bin'),
                               [Buffer.from([8, code])]);
    }
    got = await unary(client, 'Sleep', Buffer.alloc(0), new grpc.Metadata(),
                      {deadline: Date.now() + 200});
    assert.strictEqual(got.error.code, grpc.status.DEADLINE_EXCEEDED);
    const before = Number((await unary(client, 'Cancels', Buffer.alloc(0))).reply.toString());
    await new Promise((resolve) => {
        const call = client.Sleep(Buffer.alloc(0), resolve);
        call.on('metadata', () => call.cancel());
    });
    for (let i = 0; ; i++) {
        got = await unary(client, 'Cancels', Buffer.alloc(0));
        if (Number(got.reply.toString()) > before)
            break;
        assert.ok(i < 500, 'the server was not told');
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    client.close();
}

if (process.argv[2] === 'serve')
    serve();
else
    ask(process.argv[3]).then(() => process.exit(0), (error) => {
        console.error(error);
        process.exit(1);
    });
