// ask2.js - Node's client of HTTP/2: many at once, bodies both ways, cancelling. Usage: node ask2.js PORT
'use strict';
const http2 = require('http2');
const assert = require('assert');
const session = http2.connect('http://127.0.0.1:' + process.argv[2]);

session.on('error', (error) => { console.error(error); process.exit(1); });

function ask(method, path, body, cancel) {
    return new Promise((resolve, reject) => {
        const stream = session.request({':method': method, ':path': path});
        let text = '';
        let status = 0;
        let length;

        stream.on('response', (headers) => {
            status = headers[':status'];
            length = headers['content-length'];
            if (cancel)
                stream.close(http2.constants.NGHTTP2_CANCEL);
        });
        stream.on('data', (piece) => { text += piece; });
        stream.on('close', () => resolve({status, text, length}));
        stream.on('error', (error) => cancel ? resolve({}) : reject(error));
        stream.end(body);
    });
}

(async () => {
    const many = [];
    for (let i = 0; i < 200; i++)
        many.push(ask('GET', '/hello'));
    for (const r of await Promise.all(many))
        assert.deepStrictEqual([r.status, r.text], [200, 'hello\n']);
    const big = 'b'.repeat(300000);
    assert.strictEqual((await ask('POST', '/whole', big)).text, big);
    const echoes = [];
    for (let i = 0; i < 10; i++)
        echoes.push(ask('POST', '/echo', big));
    for (const r of await Promise.all(echoes))
        assert.strictEqual(r.text, big);
    await Promise.all([1, 2, 3].map(() => ask('GET', '/bytes?10000000', undefined, true)));
    assert.strictEqual((await ask('GET', '/bytes?100000')).text.length, 100000);
    assert.strictEqual((await ask('HEAD', '/hello')).length, '6');
    assert.strictEqual((await ask('GET', '/none')).status, 404);
    session.close();
})().catch((error) => { console.error(error); process.exit(1); });
