// ask.js - Node's client: connections kept, bodies both ways, an upgrade. Usage: node ask.js PORT
'use strict';
const http = require('http');
const assert = require('assert');
const host = '127.0.0.1';
const port = Number(process.argv[2]);
const agent = new http.Agent({keepAlive: true, maxSockets: 1});

function ask(method, path, body, headers) {
    return new Promise((resolve, reject) => {
        const request = http.request({host, port, method, path, agent, headers}, (response) => {
            let text = '';
            response.on('data', (piece) => { text += piece; });
            response.on('end', () => resolve({status: response.statusCode, text,
                                              headers: response.headers}));
        });
        request.on('error', reject);
        if (Array.isArray(body)) {
            for (const piece of body)
                request.write(piece);
            request.addTrailers({Sum: 'x'});
            request.end();
        } else {
            request.end(body);
        }
    });
}

function shout() {
    return new Promise((resolve, reject) => {
        const request = http.request({host, port, path: '/shout',
                                      headers: {Connection: 'Upgrade', Upgrade: 'shout'}});
        request.on('upgrade', (response, socket) => {
            socket.on('data', (data) => { socket.end(); resolve(data.toString()); });
            socket.write('quiet');
        });
        request.on('response', () => reject(new Error('no upgrade')));
        request.on('error', reject);
        request.end();
    });
}

(async () => {
    for (let i = 0; i < 50; i++) {
        const r = await ask('GET', '/hello');
        assert.strictEqual(r.status, 200);
        assert.strictEqual(r.text, 'hello\n');
    }
    const big = 'b'.repeat(300000);
    assert.strictEqual((await ask('POST', '/whole', big)).text, big);
    assert.strictEqual((await ask('POST', '/echo', ['one', 'two', big], {Trailer: 'Sum'})).text,
                       'onetwo' + big);
    assert.strictEqual((await ask('GET', '/bytes?100000')).text.length, 100000);
    assert.strictEqual((await ask('HEAD', '/hello')).headers['content-length'], '6');
    assert.strictEqual((await ask('GET', '/none')).status, 404);
    assert.strictEqual(await shout(), 'QUIET');
    agent.destroy();
})().catch((error) => { console.error(error); process.exit(1); });
