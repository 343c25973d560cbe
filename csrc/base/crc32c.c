#include "base/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u

/* Half a byte at a time: sixteen entries need no table in memory worth the name, and this is not the way that is taken. */
uint32_t mq_crc32c_by_table(uint32_t crc, const void *bytes, size_t n)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
        0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
    };
    const unsigned char *p = bytes;
    crc = ~crc;
    for (; n; n--, p++) {
        crc = crc >> 4 ^ table[(crc ^ *p) & 15];
        crc = crc >> 4 ^ table[(crc ^ *p >> 4) & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("sse4.2,pclmul")))

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t n)
{
    uint64_t state = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        state = _mm_crc32_u64(state, word);
    }
    for (; n; n--)
        state = _mm_crc32_u8((uint32_t)state, *p++);
    return (uint32_t)state;
}

/* The instruction takes three cycles, and one can begin in each: three parts of a block are summed side by side, and put together
 * as if one had followed the other. That multiplies the sum of a part by x^(8n), n being the bytes behind it, modulo the polynomial:
 * by a product without carries with x^(8n - 33) and the instruction, which reduces it (all bit-reflected). */
#define PART 1024u
#define PAST_ONE 0x170076FA /* x^(8 * PART - 33) */
#define PAST_TWO 0xA51B6135 /* x^(16 * PART - 33) */

WIDE static inline uint64_t shift(uint64_t state, int64_t past)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)state), _mm_cvtsi64_si128(past), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

WIDE static uint32_t three_wide(uint32_t crc, const unsigned char **bytes, size_t *n)
{
    uint64_t first = crc;
    for (; *n >= (size_t)3 * PART; *n -= (size_t)3 * PART, *bytes += (size_t)3 * PART) {
        uint64_t second = 0, third = 0, words[3];
        for (const unsigned char *p = *bytes; p < *bytes + PART; p += 8) {
            memcpy(&words[0], p, 8);
            memcpy(&words[1], p + PART, 8);
            memcpy(&words[2], p + (size_t)2 * PART, 8);
            first = _mm_crc32_u64(first, words[0]);
            second = _mm_crc32_u64(second, words[1]);
            third = _mm_crc32_u64(third, words[2]);
        }
        first = shift(first, PAST_TWO) ^ shift(second, PAST_ONE) ^ third;
    }
    return (uint32_t)first;
}

uint32_t mq_crc32c(uint32_t crc, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    if (!__builtin_cpu_supports("sse4.2"))
        return mq_crc32c_by_table(crc, bytes, n);
    crc = ~crc;
    if (n >= (size_t)3 * PART && __builtin_cpu_supports("pclmul"))
        crc = three_wide(crc, &p, &n);
    return ~by_instruction(crc, p, n);
}
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>

#define HAS_CRC32 (1u << 7) /* HWCAP_CRC32 */

__attribute__((target("+crc"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
    }
    for (; n; n--)
        crc = __crc32cb(crc, *p++);
    return crc;
}

uint32_t mq_crc32c(uint32_t crc, const void *bytes, size_t n)
{
    return getauxval(AT_HWCAP) & HAS_CRC32 ? ~by_instruction(~crc, bytes, n) : mq_crc32c_by_table(crc, bytes, n);
}
#else
uint32_t mq_crc32c(uint32_t crc, const void *bytes, size_t n) { return mq_crc32c_by_table(crc, bytes, n); }
#endif
