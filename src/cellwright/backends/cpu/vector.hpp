// Vectors of units, as wide as the processor has them.

#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double REAL;
typedef int64_t INTEGER;
#else
typedef float REAL;
typedef int32_t INTEGER;
#endif

#if defined(__AVX512F__)
#define WIDTH 64
#define TILE 12
#elif defined(__AVX__)
#define WIDTH 32
#define TILE 6
#else
#define WIDTH 16
#define TILE 6
#endif

typedef REAL V __attribute__((vector_size(WIDTH), may_alias));
typedef INTEGER I __attribute__((vector_size(WIDTH), may_alias));
typedef REAL Unaligned __attribute__((vector_size(WIDTH), aligned(sizeof(REAL)), may_alias));

#define INLINE static inline __attribute__((always_inline))

namespace {

constexpr long LANES = WIDTH / sizeof(REAL);
constexpr long BLOCK = 2 * LANES;

INLINE V splat(REAL x) { return x - V{}; }
INLINE V load(const REAL* p) { return *(const Unaligned*)p; }
INLINE void store(REAL* p, V v) { *(Unaligned*)p = v; }

// True in the first `left` lanes.
INLINE I lanes(long left) {
    I mask;
    for (long l = 0; l < LANES; l++) mask[l] = l < left ? -1 : 0;
    return mask;
}

// What is masked is hidden from AddressSanitizer, which sees the loops that stand in below.
#ifndef __SANITIZE_ADDRESS__
#if WIDTH == 32 && defined(DOUBLE)
typedef double Wide __attribute__((vector_size(32)));
typedef long long Mask __attribute__((vector_size(32)));
#define MASKED_LOAD(p, m) (V) __builtin_ia32_maskloadpd256((const Wide*)(p), (Mask)(m))
#define MASKED_STORE(p, m, v) __builtin_ia32_maskstorepd256((Wide*)(p), (Mask)(m), (Wide)(v))
// One instruction each; the second operand is the result where one is NaN.
#define AT_MOST(v, bound) (V) __builtin_ia32_minpd256((Wide)(bound), (Wide)(v))
#define AT_LEAST(v, bound) (V) __builtin_ia32_maxpd256((Wide)(bound), (Wide)(v))
#elif WIDTH == 32
typedef float Wide __attribute__((vector_size(32)));
typedef int Mask __attribute__((vector_size(32)));
#define MASKED_LOAD(p, m) (V) __builtin_ia32_maskloadps256((const Wide*)(p), (Mask)(m))
#define MASKED_STORE(p, m, v) __builtin_ia32_maskstoreps256((Wide*)(p), (Mask)(m), (Wide)(v))
#define AT_MOST(v, bound) (V) __builtin_ia32_minps256((Wide)(bound), (Wide)(v))
#define AT_LEAST(v, bound) (V) __builtin_ia32_maxps256((Wide)(bound), (Wide)(v))
#elif defined(__AVX512DQ__) && defined(DOUBLE)
typedef double Wide __attribute__((vector_size(64)));
typedef long long Mask __attribute__((vector_size(64)));
#define BITS(m) __builtin_ia32_cvtq2mask512((Mask)(m))
#define MASKED_LOAD(p, m) (V) __builtin_ia32_loadupd512_mask((const double*)(p), Wide{}, BITS(m))
#define MASKED_STORE(p, m, v) __builtin_ia32_storeupd512_mask((double*)(p), (Wide)(v), BITS(m))
#elif defined(__AVX512DQ__)
typedef float Wide __attribute__((vector_size(64)));
typedef int Mask __attribute__((vector_size(64)));
#define BITS(m) __builtin_ia32_cvtd2mask512((Mask)(m))
#define MASKED_LOAD(p, m) (V) __builtin_ia32_loadups512_mask((const float*)(p), Wide{}, BITS(m))
#define MASKED_STORE(p, m, v) __builtin_ia32_storeups512_mask((float*)(p), (Wide)(v), BITS(m))
// 1 / v, to 14 bits.
#define NEARLY_INVERSE(v) (V) __builtin_ia32_rcp14ps512_mask((Wide)(v), Wide{}, -1)
#endif
#endif

// A vector at the edge of a tensor, whose row may end within it; zero beyond the end.
template <bool Full> INLINE V read(const REAL* p, I mask) {
    if (Full) return load(p);
#ifdef MASKED_LOAD
    return MASKED_LOAD(p, mask);
#else
    V v = {};
    for (long l = 0; l < LANES; l++)
        if (mask[l]) v[l] = p[l];
    return v;
#endif
}

template <bool Full> INLINE void write(REAL* p, V v, I mask) {
    if (Full) return store(p, v);
#ifdef MASKED_STORE
    MASKED_STORE(p, mask, v);
#else
    for (long l = 0; l < LANES; l++)
        if (mask[l]) p[l] = v[l];
#endif
}

template <bool Full> INLINE V within(V v, I mask) { return Full ? v : mask ? v : V{}; }

// a / b where b and 1 / b are normal numbers; a unit in the last place off at the most, and in less
// time than a division where there is an estimate to begin with.
INLINE V quotient(V a, V b) {
#ifdef NEARLY_INVERSE
    const V inverse = NEARLY_INVERSE(b), q = a * inverse;
    return q + inverse * (a - b * q);
#else
    return a / b;
#endif
}

INLINE REAL added_up(V v) {
#pragma GCC unroll 4
    for (long half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (long l = 0; l < half; l++) v[l] += v[l + half];
    return v[0];
}

}  // namespace
