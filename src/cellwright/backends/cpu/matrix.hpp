// Products with packed matrices: a micro-kernel that keeps a tile of the result in registers.

#pragma once

#include "vector.hpp"

namespace {

// One term of a sum of products: rows of k values, and a packed panel (k, BLOCK).
struct Term {
    const REAL* a;
    long stride;  // from row to row
    const REAL* panel;
    long k;
};

// M rows of `out` (BLOCK wide) = the sum over terms of a @ panel. K columns at a time have
// accumulators of their own: few rows alone would wait for one another's additions. Where `Packed`,
// `a` is (k, TILE), column by column.
template <int M, int K, bool Packed>
static inline void tile(REAL* out, const Term* terms, int count, long row) {
    V sum[K][M][2] = {};
    for (int t = 0; t < count; t++) {
        const long stride = Packed ? 1 : terms[t].stride, columns = terms[t].k;
        constexpr long NEXT = Packed ? TILE : 1;
        const REAL* a = terms[t].a + row * stride;
        const REAL* b = terms[t].panel;
        long k = 0;
        for (; k + K <= columns; k += K, a += K * NEXT, b += K * BLOCK) {
#pragma GCC unroll 8
            for (int j = 0; j < K; j++) {
                const V b0 = load(b + j * BLOCK), b1 = load(b + j * BLOCK + LANES);
#pragma GCC unroll 16
                for (int i = 0; i < M; i++) {
                    const V x = splat(a[i * stride + j * NEXT]);
                    sum[j][i][0] += x * b0;
                    sum[j][i][1] += x * b1;
                }
            }
        }
        for (; K > 1 && k < columns; k++, a += NEXT, b += BLOCK) {
            const V b0 = load(b), b1 = load(b + LANES);
#pragma GCC unroll 16
            for (int i = 0; i < M; i++) {
                const V x = splat(a[i * stride]);
                sum[0][i][0] += x * b0;
                sum[0][i][1] += x * b1;
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 8
        for (int j = 1; j < K; j++) {
            sum[0][i][0] += sum[j][i][0];
            sum[0][i][1] += sum[j][i][1];
        }
        store(out + i * BLOCK, sum[0][i][0]);
        store(out + i * BLOCK + LANES, sum[0][i][1]);
    }
}

// `out` (n, BLOCK): the sum of products, in tiles of nearly equal height.
template <bool Packed = false>
static void multiply(REAL* out, long n, const Term* terms, int count) {
    const long tiles = (n + TILE - 1) / TILE;
    for (long i = 0, row = 0; i < tiles; i++) {
        const long height = (n - row + (tiles - i) - 1) / (tiles - i);
        REAL* to = out + row * BLOCK;
        switch (height) {
            case 1: tile<1, 4, Packed>(to, terms, count, row); break;
            case 2: tile<2, 2, Packed>(to, terms, count, row); break;
            case 3: tile<3, 2, Packed>(to, terms, count, row); break;
            case 4: tile<4, 1, Packed>(to, terms, count, row); break;
            case 5: tile<5, 1, Packed>(to, terms, count, row); break;
            case 6: tile<6, 1, Packed>(to, terms, count, row); break;
#if TILE > 6
            case 7: tile<7, 1, Packed>(to, terms, count, row); break;
            case 8: tile<8, 1, Packed>(to, terms, count, row); break;
            case 9: tile<9, 1, Packed>(to, terms, count, row); break;
            case 10: tile<10, 1, Packed>(to, terms, count, row); break;
            case 11: tile<11, 1, Packed>(to, terms, count, row); break;
            case 12: tile<12, 1, Packed>(to, terms, count, row); break;
#endif
        }
        row += height;
    }
}

// A matrix (n, k) in panels, one for each block of its rows, (k, BLOCK) each; zeros beyond row n.
static void pack(REAL* to, const REAL* m, long by_row, long by_column, long n, long k, long block) {
    to += block * k * BLOCK;
    m += block * BLOCK * by_row;
    const long wide = n - block * BLOCK < BLOCK ? n - block * BLOCK : BLOCK;
    if (by_row == 1 && wide == BLOCK) {
        for (long j = 0; j < k; j++, to += BLOCK, m += by_column) memcpy(to, m, BLOCK * sizeof(REAL));
        return;
    }
    for (long j = 0; j < k; j++, to += BLOCK, m += by_column)
        for (long i = 0; i < BLOCK; i++) to[i] = i < wide ? m[i * by_row] : REAL(0);
}

}  // namespace
