/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wide methods are those of J. Keiser and D. Lemire, "Validating UTF-8 in
 * less than one instruction per byte" (2020): what can be wrong with two
 * neighbours shows in three of their four half bytes.  Each of those looks up
 * the set of wrongs that it allows; a wrong that all three allow is there.
 * What remains is whether a third and fourth byte is where a lead asks for it.
 */
#include "base/utf8.h"

#include "base/bytes.h"
#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define HIGH_BITS 0x8080808080808080u

/* How many bytes from p on are ASCII: whole words first, four at a time
 * while nothing else comes, then to the byte. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 32; i += 32) {
        uint64_t word[4];
        memcpy(word, p + i, sizeof word);
        if ((word[0] | word[1] | word[2] | word[3]) & HIGH_BITS)
            break;
    }
    for (; n - i >= 8; i += 8) {
        uint64_t high = le64_get(p + i) & HIGH_BITS;
        if (high)
            return i + (size_t)__builtin_ctzll(high) / 8;
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The size of the sequence at p when it is well-formed, else 0.  It is not
 * ASCII and four bytes are there. */
static size_t whole_sequence(const uint8_t *p)
{
    if (p[0] < 0xe0)
        return p[0] >= 0xc2 && is_tail(p[1]) ? 2 : 0;
    if (!is_tail(p[1]) || !is_tail(p[2]))
        return 0;
    uint32_t front = (p[0] & 0xfu) << 6 | (p[1] & 0x3fu);
    if (p[0] < 0xf0) /* U+0800 to U+FFFF without the surrogates */
        return front >= 0x800 >> 6 && front >> 5 != 0xd800 >> 11 ? 3 : 0;
    /* U+10000 to U+10FFFF */
    return p[0] <= 0xf4 && is_tail(p[3]) && front >= 0x10000 >> 12 &&
                   front <= 0x10ffff >> 12
               ? 4
               : 0;
}

/* RFC 3629 section 4, the table of well-formed sequences. */
static bool start_sequence(struct utf8 *u, uint8_t lead)
{
    u->low = 0x80;
    u->high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        u->pending = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        u->pending = 2;
        if (lead == 0xe0)
            u->low = 0xa0;
        else if (lead == 0xed)
            u->high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        u->pending = 3;
        if (lead == 0xf0)
            u->low = 0x90;
        else if (lead == 0xf4)
            u->high = 0x8f;
    } else {
        return false;
    }
    return true;
}

/* ---- the wide methods ---- */

enum {
    WIDE = 32 /* bytes they take at a time */
};

#if defined(__x86_64__) || defined(__aarch64__)

/* What can be wrong with a byte and the one before it. */
enum {
    TOO_SHORT = 1,   /* a lead, and no continuation behind it */
    TOO_LONG = 2,    /* ASCII, and a continuation */
    OVERLONG_3 = 4,  /* e0, and less than a0 */
    TOO_LARGE = 8,   /* f4 and more than 8f, or f5 and more than that */
    SURROGATE = 16,  /* ed, and a0 or more */
    OVERLONG_2 = 32, /* c0 or c1 */
    LARGE_8 = 64,    /* f5 or more, and 80 to 8f; f0, and less than 90 */
    TWO_TAILS = 128, /* two continuations: wrong unless a lead wants them */
    ANY_LOW = TOO_SHORT | TOO_LONG | TWO_TAILS, /* a low half can not say */
    F5 = ANY_LOW | TOO_LARGE | LARGE_8,
    TAIL = TOO_LONG | OVERLONG_2 | TWO_TAILS,
};

/* Allowed by the high half of the byte before, by its low half, and by the
 * high half of the byte. */
static const uint8_t before_high[16] = {
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TWO_TAILS,
    TWO_TAILS,
    TWO_TAILS,
    TWO_TAILS,
    TOO_SHORT | OVERLONG_2,
    TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | LARGE_8,
};
static const uint8_t before_low[16] = {
    ANY_LOW | OVERLONG_3 | OVERLONG_2 | LARGE_8,
    ANY_LOW | OVERLONG_2,
    ANY_LOW,
    ANY_LOW,
    ANY_LOW | TOO_LARGE,
    F5,
    F5,
    F5,
    F5,
    F5,
    F5,
    F5,
    F5,
    F5 | SURROGATE,
    F5,
    F5,
};
static const uint8_t this_high[16] = {
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TAIL | OVERLONG_3 | LARGE_8,
    TAIL | OVERLONG_3 | TOO_LARGE,
    TAIL | SURROGATE | TOO_LARGE,
    TAIL | SURROGATE | TOO_LARGE,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
};

/* The first i bytes are good, but for a character that may not be whole. */
static size_t whole_characters(const uint8_t *p, size_t i)
{
    for (size_t back = 1; back <= 3 && back <= i; back++) {
        uint8_t byte = p[i - back];
        if (byte >= 0xc0) {
            size_t size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
            return size > back ? i - back : i;
        }
        if (byte < 0x80)
            break;
    }
    return i;
}

#endif

#if defined(__x86_64__)

/* Every x86-64 has SSE2, which can not look up: it is for ASCII. */
static size_t run_sse2(const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 32; i += 32) {
        const __m128i *v = (const __m128i *)(const void *)(p + i);
        __m128i both = _mm_or_si128(_mm_loadu_si128(v), _mm_loadu_si128(v + 1));
        if (_mm_movemask_epi8(both))
            break;
    }
    return i;
}

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i table(const uint8_t t[16])
{
    return _mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)t));
}

/* The bytes n places before those of v. */
#define BEFORE(v, previous, n)                                                 \
    _mm256_alignr_epi8(v, _mm256_permute2x128_si256(previous, v, 0x21),        \
                       16 - (n))

AVX2 static size_t run_avx2(const uint8_t *p, size_t n)
{
    const __m256i low = _mm256_set1_epi8(0x0f);
    const __m256i high_1 = table(before_high), low_1 = table(before_low),
                  high_2 = table(this_high);
    const __m256i third = _mm256_set1_epi8(0xe0 - 0x80),
                  fourth = _mm256_set1_epi8(0xf0 - 0x80),
                  top = _mm256_set1_epi8((char)0x80);
    __m256i previous = _mm256_setzero_si256();
    bool open = false; /* the last block may have ended inside a character */
    size_t i = 0;

    for (; n - i >= 32; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
        if (!_mm256_movemask_epi8(v) && !open) {
            previous = v;
            continue;
        }
        __m256i one = BEFORE(v, previous, 1);
        __m256i wrong = _mm256_and_si256(
            _mm256_and_si256(
                _mm256_shuffle_epi8(
                    high_1, _mm256_and_si256(_mm256_srli_epi16(one, 4), low)),
                _mm256_shuffle_epi8(low_1, _mm256_and_si256(one, low))),
            _mm256_shuffle_epi8(
                high_2, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
        __m256i wanted = _mm256_and_si256(
            _mm256_or_si256(_mm256_subs_epu8(BEFORE(v, previous, 2), third),
                            _mm256_subs_epu8(BEFORE(v, previous, 3), fourth)),
            top);
        wrong = _mm256_xor_si256(wrong, wanted);
        if (!_mm256_testz_si256(wrong, wrong))
            break;
        previous = v;
        open = p[i + 31] >= 0xc0 || p[i + 30] >= 0xe0 || p[i + 29] >= 0xf0;
    }
    return whole_characters(p, i);
}

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

#elif defined(__aarch64__)

/* Every AArch64 that runs Linux has it. */
static size_t run_neon(const uint8_t *p, size_t n)
{
    const uint8x16_t high_1 = vld1q_u8(before_high),
                     low_1 = vld1q_u8(before_low), high_2 = vld1q_u8(this_high);
    const uint8x16_t low = vdupq_n_u8(0x0f), top = vdupq_n_u8(0x80);
    const uint8x16_t third = vdupq_n_u8(0xe0 - 0x80),
                     fourth = vdupq_n_u8(0xf0 - 0x80);
    uint8x16_t previous = vdupq_n_u8(0);
    bool open = false;
    size_t i = 0;

    for (; n - i >= 16; i += 16) {
        uint8x16_t v = vld1q_u8(p + i);
        if (vmaxvq_u8(v) < 0x80 && !open) {
            previous = v;
            continue;
        }
        uint8x16_t one = vextq_u8(previous, v, 15);
        uint8x16_t wrong =
            vandq_u8(vandq_u8(vqtbl1q_u8(high_1, vshrq_n_u8(one, 4)),
                              vqtbl1q_u8(low_1, vandq_u8(one, low))),
                     vqtbl1q_u8(high_2, vshrq_n_u8(v, 4)));
        uint8x16_t wanted =
            vandq_u8(vorrq_u8(vqsubq_u8(vextq_u8(previous, v, 14), third),
                              vqsubq_u8(vextq_u8(previous, v, 13), fourth)),
                     top);
        if (vmaxvq_u8(veorq_u8(wrong, wanted)))
            break;
        previous = v;
        open = p[i + 15] >= 0xc0 || p[i + 14] >= 0xe0 || p[i + 13] >= 0xf0;
    }
    return whole_characters(p, i);
}

#endif

/* Best first.  What stands below a method that runs here, runs here too. */
static const struct utf8_method methods[] = {
#if defined(__x86_64__)
    {"avx2", run_avx2},
    {"sse2", run_sse2},
#elif defined(__aarch64__)
    {"neon", run_neon},
#endif
    {"plain", NULL},
};

const struct utf8_method *utf8_methods(size_t *count)
{
    size_t best = 0;
#if defined(__x86_64__)
    if (!has_avx2())
        best = 1;
#endif
    *count = COUNT(methods) - best;
    return methods + best;
}

/* ---- both together ---- */

bool utf8_next_by(const struct utf8_method *m, struct utf8 *u, const uint8_t *p,
                  size_t n)
{
    size_t i = 0, wide_at = m->run ? 0 : SIZE_MAX;

    while (i < n) {
        if (u->pending) {
            if (p[i] < u->low || p[i] > u->high)
                return false;
            u->low = 0x80;
            u->high = 0xbf;
            u->pending--;
            i++;
        } else if (i >= wide_at && n - i >= WIDE) {
            i += m->run(p + i, n - i);
            wide_at = i + WIDE; /* it could not go on here */
        } else if (p[i] < 0x80) {
            i += ascii_run(p + i, n - i);
        } else if (n - i >= 4) {
            size_t size = whole_sequence(p + i);
            if (!size)
                return false;
            i += size;
        } else {
            if (!start_sequence(u, p[i]))
                return false;
            i++;
        }
    }
    return true;
}

bool utf8_next(struct utf8 *u, const uint8_t *p, size_t n)
{
    static const struct utf8_method *best;
    size_t count;

    if (!best)
        best = utf8_methods(&count);
    return utf8_next_by(best, u, p, n);
}

bool utf8_is_valid(const void *p, size_t n)
{
    struct utf8 u = {0};
    return utf8_next(&u, p, n) && utf8_is_complete(&u);
}
