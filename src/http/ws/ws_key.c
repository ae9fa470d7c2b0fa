/* ws_key.c - Sec-WebSocket-Accept: base64 of the SHA-1 of the key and a constant (RFC 6455, 4.2.2).
 *
 * It shows that the server has read the request as one for a WebSocket, and is no secret; so this
 * SHA-1 needs no library of cryptography. Its input is always 60 bytes: two blocks.
 *
 * Sources: RFC 3174 (SHA-1), RFC 4648 (base64).
 */
#include "http/ws/ws_impl.h"

void skua__ws_base64(char *out, const uint8_t *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0) |
                        (i + 2 < len ? data[i + 2] : 0);

        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

static uint32_t key_turn(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static void key_block(uint32_t hash[5], const uint8_t block[64])
{
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    uint32_t w[80];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = key_turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20              ? (b & c) | (~b & d)
                     : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d)
                                         : b ^ c ^ d;
        uint32_t next = key_turn(a, 5) + f + e + constants[i / 20] + w[i];

        e = d;
        d = c;
        c = key_turn(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

void skua__ws_answer(char out[SKUA__WS_ACCEPT], const char *key)
{
    static const char constant[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    uint8_t bytes[20];

    memcpy(blocks, key, SKUA__WS_KEY - 1);
    memcpy(blocks + SKUA__WS_KEY - 1, constant, sizeof constant - 1);
    blocks[60] = 0x80;
    blocks[126] = 60 * 8 >> 8; /* the length, in bits */
    blocks[127] = 60 * 8 & 255;
    key_block(hash, blocks);
    key_block(hash, blocks + 64);
    for (int i = 0; i < 20; i++)
        bytes[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
    skua__ws_base64(out, bytes, sizeof bytes);
}
