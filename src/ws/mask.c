/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key repeats every four bytes, so any wider word that is a multiple of
 * four holds whole turns of it: rotate the key once so that its first byte
 * meets the first byte of the text, and every word of the rest meets the same
 * word of key.
 */
#include "ws/mask.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum {
    /* bytes; below it the call through a pointer costs more than it wins */
    WIDE_MIN = 64
};

/* Eight bytes of key, in memory order, that start at key[at % 4]. */
static uint64_t key_word(const uint8_t key[4], uint32_t at)
{
    uint32_t k = le32_get(key);
    unsigned turn = at % 4 * 8;
    k = k >> turn | k << (-turn & 31);
    return htole64((uint64_t)k << 32 | k);
}

static void xor_words(uint8_t *p, size_t n, uint64_t word)
{
    uint64_t text;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&text, p, 8);
        text ^= word;
        memcpy(p, &text, 8);
    }
    uint8_t key[8];
    memcpy(key, &word, 8);
    for (size_t i = 0; i < n; i++)
        p[i] ^= key[i];
}

static void mask_words(uint8_t *p, size_t n, const uint8_t key[4], uint32_t at)
{
    xor_words(p, n, key_word(key, at));
}

#if defined(__x86_64__)

/* Every x86-64 has SSE2. */
static void mask_sse2(uint8_t *p, size_t n, const uint8_t key[4], uint32_t at)
{
    uint64_t word = key_word(key, at);
    __m128i wide = _mm_set1_epi64x((long long)word);

    for (; n >= 64; p += 64, n -= 64) {
        __m128i *v = (__m128i *)(void *)p;
        _mm_storeu_si128(v, _mm_xor_si128(_mm_loadu_si128(v), wide));
        _mm_storeu_si128(v + 1, _mm_xor_si128(_mm_loadu_si128(v + 1), wide));
        _mm_storeu_si128(v + 2, _mm_xor_si128(_mm_loadu_si128(v + 2), wide));
        _mm_storeu_si128(v + 3, _mm_xor_si128(_mm_loadu_si128(v + 3), wide));
    }
    xor_words(p, n, word);
}

__attribute__((target("avx2"))) static void
mask_avx2(uint8_t *p, size_t n, const uint8_t key[4], uint32_t at)
{
    uint64_t word = key_word(key, at);
    __m256i wide = _mm256_set1_epi64x((long long)word);

    for (; n >= 128; p += 128, n -= 128) {
        __m256i *v = (__m256i *)(void *)p;
        __m256i a = _mm256_loadu_si256(v);
        __m256i b = _mm256_loadu_si256(v + 1);
        __m256i c = _mm256_loadu_si256(v + 2);
        __m256i d = _mm256_loadu_si256(v + 3);
        _mm256_storeu_si256(v, _mm256_xor_si256(a, wide));
        _mm256_storeu_si256(v + 1, _mm256_xor_si256(b, wide));
        _mm256_storeu_si256(v + 2, _mm256_xor_si256(c, wide));
        _mm256_storeu_si256(v + 3, _mm256_xor_si256(d, wide));
    }
    for (; n >= 32; p += 32, n -= 32) {
        __m256i *v = (__m256i *)(void *)p;
        _mm256_storeu_si256(v, _mm256_xor_si256(_mm256_loadu_si256(v), wide));
    }
    xor_words(p, n, word);
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

#elif defined(__aarch64__)

/* Every AArch64 that runs Linux has it. */
static void mask_neon(uint8_t *p, size_t n, const uint8_t key[4], uint32_t at)
{
    uint64_t word = key_word(key, at);
    uint8x16_t wide = vreinterpretq_u8_u64(vdupq_n_u64(word));

    for (; n >= 64; p += 64, n -= 64) {
        vst1q_u8(p, veorq_u8(vld1q_u8(p), wide));
        vst1q_u8(p + 16, veorq_u8(vld1q_u8(p + 16), wide));
        vst1q_u8(p + 32, veorq_u8(vld1q_u8(p + 32), wide));
        vst1q_u8(p + 48, veorq_u8(vld1q_u8(p + 48), wide));
    }
    xor_words(p, n, word);
}

#endif

/* Best first.  What stands below a method that runs here, runs here too. */
static const struct ws_mask_method methods[] = {
#if defined(__x86_64__)
    {"avx2", mask_avx2},
    {"sse2", mask_sse2},
#elif defined(__aarch64__)
    {"neon", mask_neon},
#endif
    {"words", mask_words},
};

const struct ws_mask_method *ws_mask_methods(size_t *count)
{
    size_t best = 0;
#if defined(__x86_64__)
    if (!has_avx2())
        best = 1;
#endif
    *count = COUNT(methods) - best;
    return methods + best;
}

static ws_mask_fn choose_and_mask;
static ws_mask_fn *wide_mask = choose_and_mask;

static void choose_and_mask(uint8_t *p, size_t n, const uint8_t key[4],
                            uint32_t at)
{
    size_t count;
    wide_mask = ws_mask_methods(&count)->mask;
    wide_mask(p, n, key, at);
}

void ws_mask(uint8_t *p, size_t n, const uint8_t key[4], uint32_t at)
{
    if (n < WIDE_MIN)
        mask_words(p, n, key, at);
    else
        wide_mask(p, n, key, at);
}
