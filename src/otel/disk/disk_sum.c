/* disk_sum.c - CRC-32C, by the processor where it can, else by a table of 16 entries.
 *
 * Source     Castagnoli, Bräuer, Herrmann (1993); RFC 3720, B.4 has its test vectors.
 */
#include "otel/disk/disk_impl.h"

static uint32_t sum_nibbles(uint32_t sum, const uint8_t *at, size_t len)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

    for (; len > 0; len--, at++) {
        sum ^= *at;
        sum = table[sum & 15] ^ sum >> 4;
        sum = table[sum & 15] ^ sum >> 4;
    }
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t sum_words(uint32_t sum, const uint8_t *at,
                                                            size_t len)
{
    uint64_t wide = sum, word;

    for (; len >= 8; len -= 8, at += 8) {
        memcpy(&word, at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    sum = (uint32_t)wide;
    for (; len > 0; len--)
        sum = __builtin_ia32_crc32qi(sum, *at++);
    return sum;
}
#endif

uint32_t skua__disk_sum(uint32_t sum, const void *bytes, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~sum_words(~sum, bytes, len);
#endif
    return ~sum_nibbles(~sum, bytes, len);
}
