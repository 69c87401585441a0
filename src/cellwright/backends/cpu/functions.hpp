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
constexpr INTEGER ROOT_HALF = 0x3fe6a09e667f3bcd;  // and of the square root of 1/2
constexpr REAL MAGIC = 6755399441055744.0, LOWEST = -746, HIGHEST = 711, NORMAL = 708, FLAT = 40;
constexpr REAL LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;
constexpr REAL TINY = 2.2250738585072014e-308, INFINITE = __builtin_inf();
#define EACH(name, v) for (long l = 0; l < LANES; l++) v[l] = __builtin_##name(v[l])
#else
constexpr int MANTISSA = 23;
constexpr INTEGER ONE = 0x3f800000, ROOT_HALF = 0x3f3504f3;
// 1 + exp(NORMAL) and its inverse are normal numbers, as `quotient` wants them.
constexpr REAL MAGIC = 12582912.0f, LOWEST = -104, HIGHEST = 89, NORMAL = 87, FLAT = 20;
constexpr REAL LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
constexpr REAL TINY = 1.17549435e-38f, INFINITE = __builtin_inff();
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
    // Fitted for the smallest relative error of exp(r), 4e-9 (tools/fit_functions.py).
    constexpr float OF[] = {0.49999994f, 0.16666521f, 0.04166839f, 0.008368716f, 0.0013814602f};
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

// 2 atanh(s), which is the logarithm of (1 + s) / (1 - s), for |s| up to 1/3.
INLINE V log_of_ratio(V s) {
    const V t = s * s;
#ifdef DOUBLE
    V q = splat(1.0 / 33);  // Taylor's series, as above
#pragma GCC unroll 16
    for (int i = 31; i >= 3; i -= 2) q = q * t + 1.0 / i;
#else
    // Fitted for the smallest relative error, 6e-9 (tools/fit_functions.py).
    V q = splat(0.14007352f);
    q = ((q * t + 0.14000648f) * t + 0.20010778f) * t + 0.3333321f;
#endif
    return (s + s) + (s + s) * t * q;
}

// x = 2^n m with m from sqrt(1/2) to sqrt(2), and log(m) by (m - 1) / (m + 1).
INLINE V logarithm(V x) {
    constexpr INTEGER BITS = ((INTEGER)1 << MANTISSA) - 1;
    const I low = x < TINY;  // subnormal numbers have no exponent
    const I bits = (I)(low ? x * splat((INTEGER)2 << MANTISSA) : x) - ROOT_HALF;
    const V m = (V)((bits & BITS) + ROOT_HALF);
    const V n = __builtin_convertvector(bits >> MANTISSA, V) - (low ? splat(MANTISSA + 1) : V{});
    const V rest = n * LN2_LOW + log_of_ratio(quotient(m - REAL(1), m + REAL(1)));
    const V odd = x == REAL(0) ? splat(-INFINITE) : x < REAL(0) ? splat(-__builtin_nan("")) : x;
    return (x > REAL(0)) & (x < INFINITE) ? n * LN2_HIGH + rest : odd;
}

// log(1 + y) of y = exp(-|x|) by y / (2 + y).
INLINE V softplus(V x) {
    const V y = exponential(-absolute(x));
    return relu(x) + log_of_ratio(quotient(y, y + REAL(2)));
}

}  // namespace
