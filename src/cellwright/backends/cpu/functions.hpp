// The functions of the table of operations, on vectors.
//
// NaN in, NaN out; errors of a few units in the last place. Each comparison is written so that
// NaN takes the branch that keeps it.

#pragma once

#include "vector.hpp"

namespace {

#ifdef DOUBLE
constexpr int MANTISSA = 52, BIAS = 1023;
constexpr REAL MAGIC = 6755399441055744.0, LOWEST = -746, HIGHEST = 711, FLAT = 40;
constexpr REAL LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
constexpr int TERMS = 13;
#define EACH(name, v) for (long l = 0; l < LANES; l++) v[l] = __builtin_##name(v[l])
#else
constexpr int MANTISSA = 23, BIAS = 127;
constexpr REAL MAGIC = 12582912.0f, LOWEST = -104, HIGHEST = 89, FLAT = 20;
constexpr REAL LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
constexpr int TERMS = 7;
#define EACH(name, v) for (long l = 0; l < LANES; l++) v[l] = __builtin_##name##f(v[l])
#endif

INLINE V smaller(V a, V b) { return (a < b) | (a != a) ? a : b; }
INLINE V larger(V a, V b) { return (a > b) | (a != a) ? a : b; }
INLINE V where(V v, V a, V b) { return v > REAL(0) ? a : b; }
INLINE V step(V x) { return x > REAL(0) ? splat(1) : V{}; }
INLINE V sign(V x) { return x > REAL(0) ? splat(1) : x < REAL(0) ? splat(-1) : V{}; }
INLINE V relu(V x) { return x < REAL(0) ? V{} : x; }
INLINE V absolute(V x) { return x < REAL(0) ? -x : x; }
INLINE V square_root(V x) { EACH(sqrt, x); return x; }
INLINE V logarithm(V x) { EACH(log, x); return x; }
INLINE V sine(V x) { EACH(sin, x); return x; }
INLINE V cosine(V x) { EACH(cos, x); return x; }

INLINE V power_of_two(I n) { return (V)((n + BIAS) << MANTISSA); }

// x = n ln 2 + r with |r| <= ln 2 / 2; gives n and exp(r) - 1, by its Taylor series.
INLINE V reduced(V x, I& n) {
    V k = x * REAL(1.4426950408889634) + MAGIC;
    n = (I)k - (I)splat(MAGIC);
    k -= MAGIC;
    const V r = (x - k * LN2_HIGH) - k * LN2_LOW;
    constexpr double FACTORIAL[] = {1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800,
                                    39916800, 479001600, 6227020800.0};
    V p = splat(REAL(1 / FACTORIAL[TERMS]));
#pragma GCC unroll 16
    for (int i = TERMS - 1; i > 1; i--) p = p * r + REAL(1 / FACTORIAL[i]);
    return r + r * r * p;
}

// In two factors, so that the largest and the subnormal results come out right.
INLINE V exponential(V x) {
    x = x > HIGHEST ? splat(HIGHEST) : x;
    x = x < LOWEST ? splat(LOWEST) : x;
    I n;
    const V p = reduced(x, n) + REAL(1);
    const I half = n >> 1;
    return p * power_of_two(half) * power_of_two(n - half);
}

INLINE V sigmoid(V x) { return REAL(1) / (REAL(1) + exponential(-x)); }

// By exp(2x) - 1, which keeps the digits of a small x; 1 beyond FLAT / 2.
INLINE V hyperbolic_tangent(V x) {
    x = x + x;
    x = x > FLAT ? splat(FLAT) : x;
    x = x < -FLAT ? splat(-FLAT) : x;
    I n;
    const V p = reduced(x, n), two = power_of_two(n), e = two * p + (two - REAL(1));
    return e / (e + REAL(2));
}

INLINE V softplus(V x) {
    V rest = exponential(-absolute(x));
    EACH(log1p, rest);
    return relu(x) + rest;
}

}  // namespace
