// The functions of the table of operations, on vectors.
//
// NaN in, NaN out; errors of a few units in the last place. Each comparison is written so that
// NaN takes the branch that keeps it.

#pragma once

#include "vector.hpp"

namespace {

#ifdef DOUBLE
constexpr int MANTISSA = 52;
constexpr INTEGER ONE = 0x3ff0000000000000;  // the bits of 1
constexpr REAL MAGIC = 6755399441055744.0, LOWEST = -746, HIGHEST = 711, NORMAL = 708, FLAT = 40;
constexpr REAL LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
#define EACH(name, v) for (long l = 0; l < LANES; l++) v[l] = __builtin_##name(v[l])
#else
constexpr int MANTISSA = 23;
constexpr INTEGER ONE = 0x3f800000;
// 1 + exp(NORMAL) and its inverse are normal numbers, as `quotient` wants them.
constexpr REAL MAGIC = 12582912.0f, LOWEST = -104, HIGHEST = 89, NORMAL = 87, FLAT = 20;
constexpr REAL LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
#define EACH(name, v) for (long l = 0; l < LANES; l++) v[l] = __builtin_##name##f(v[l])
#endif

INLINE V smaller(V a, V b) { return (a < b) | (a != a) ? a : b; }
INLINE V larger(V a, V b) { return (a > b) | (a != a) ? a : b; }
// x, or the bound that it is beyond.
INLINE V between(V x, REAL low, REAL high) {
#ifdef AT_MOST
    return AT_LEAST(AT_MOST(x, splat(high)), splat(low));
#else
    x = x > high ? splat(high) : x;
    return x < low ? splat(low) : x;
#endif
}
INLINE V where(V v, V a, V b) { return v > REAL(0) ? a : b; }
INLINE V step(V x) { return x > REAL(0) ? splat(1) : V{}; }
INLINE V sign(V x) { return x > REAL(0) ? splat(1) : x < REAL(0) ? splat(-1) : V{}; }
INLINE V relu(V x) { return x < REAL(0) ? V{} : x; }
INLINE V absolute(V x) { return x < REAL(0) ? -x : x; }
INLINE V square_root(V x) { EACH(sqrt, x); return x; }
INLINE V logarithm(V x) { EACH(log, x); return x; }
INLINE V sine(V x) { EACH(sin, x); return x; }
INLINE V cosine(V x) { EACH(cos, x); return x; }

// x = n ln 2 + r with |r| <= ln 2 / 2; gives exp(r) - 1, and n in the low bits of `n`: what is above
// them is shifted out where n becomes an exponent.
INLINE V reduced(V x, I& n) {
    V k = x * REAL(1.4426950408889634) + MAGIC;
    n = (I)k;
    k -= MAGIC;
    const V r = (x - k * LN2_HIGH) - k * LN2_LOW;
#ifdef DOUBLE
    // Taylor's series: its error is below a unit in the last place.
    constexpr double OF[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,       1.0 / 120,
                             1.0 / 720,     1.0 / 5040,     1.0 / 40320,    1.0 / 362880,
                             1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    constexpr int TERMS = 12;
#else
    // Fitted for the smallest relative error of exp(r), 3e-9 (tools/fit_exponential.py).
    constexpr float OF[] = {0.49999993f, 0.16666521f, 0.04166839f, 0.008368715f, 0.0013814602f};
    constexpr int TERMS = 5;
#endif
    V q = splat(OF[TERMS - 1]);
#pragma GCC unroll 16
    for (int i = TERMS - 2; i >= 0; i--) q = q * r + OF[i];
    return r * r * q + r;
}

INLINE V power_of_two(I n) { return (V)((n << MANTISSA) + ONE); }

// In two factors, so that the largest and the subnormal results come out right.
INLINE V exponential(V x) {
    I n;
    const V p = reduced(between(x, LOWEST, HIGHEST), n) + REAL(1);
    n -= (I)splat(MAGIC);
    const I half = n >> 1;
    return p * power_of_two(half) * power_of_two(n - half);
}

INLINE V sigmoid(V x) {
    I n;
    const V p = reduced(between(-x, -NORMAL, NORMAL), n) + REAL(1);
    return quotient(splat(1), REAL(1) + p * power_of_two(n));
}

// By exp(2x) - 1, which keeps the digits of a small x; 1 beyond FLAT / 2.
INLINE V hyperbolic_tangent(V x) {
    I n;
    const V p = reduced(between(x + x, -FLAT, FLAT), n);
    const V two = power_of_two(n), e = two * p + (two - REAL(1));
    return quotient(e, e + REAL(2));
}

INLINE V softplus(V x) {
    V rest = exponential(-absolute(x));
    EACH(log1p, rest);
    return relu(x) + rest;
}

}  // namespace
