// Sums of products, by one micro-kernel that keeps a tile of the result in registers.

#pragma once

#include "vector.hpp"

namespace {

// Where rows of units lie: unit k of row i is at[i * row + k / BLOCK * block + k % BLOCK].
struct Stream {
    REAL* at;
    long row, block;
};

INLINE REAL* place(const Stream& s, long block, long row) {
    return s.at + block * s.block + row * s.row;
}

// One term of a sum of products: the rows of `a`, and a panel of k rows that are `next` apart.
struct Term {
    const REAL* a;
    long row, block;
    const REAL* panel;
    long next, k;
};

// Of the product of a matrix, packed, with a vector: the part that is one block of the result.
INLINE Term term(const Stream& a, long from, const REAL* packed, long block, long k) {
    return {place(a, 0, from), a.row, a.block, packed + block * k * BLOCK, BLOCK, k};
}

// Rows `first` to `first + M` of a result that is BLOCK wide, given to `put` row by row: the sum of
// a @ panel, or where `Transposed` of a^T @ panel, the units of `a` being the rows of the result.
// K columns at a time have sums of their own: few rows alone would wait for one another.
template <int M, int K, bool Transposed, class Put>
static inline void tile(const Term* terms, int count, long first, Put put) {
    V sum[K][M][2] = {};
    for (int t = 0; t < count; t++) {
        const long across = Transposed ? 1 : terms[t].row, along = Transposed ? terms[t].row : 1;
        const long next = Transposed ? terms[t].next : BLOCK;
        const long further = Transposed ? BLOCK * terms[t].row : terms[t].block;
        const REAL* a = terms[t].a + first * across;
        const REAL* b = terms[t].panel;
        long left = terms[t].k;
        for (; left >= BLOCK; left -= BLOCK, a += further, b += BLOCK * next) {
#pragma GCC unroll 1
            for (int k = 0; k < BLOCK; k += K) {
#pragma GCC unroll 8
                for (int j = 0; j < K; j++) {
                    const V b0 = load(b + (k + j) * next), b1 = load(b + (k + j) * next + LANES);
#pragma GCC unroll 16
                    for (int i = 0; i < M; i++) {
                        const V x = splat(a[i * across + (k + j) * along]);
                        sum[j][i][0] += x * b0;
                        sum[j][i][1] += x * b1;
                    }
                }
            }
        }
#pragma GCC unroll 1
        for (long k = 0; k < left; k++) {
            const V b0 = load(b + k * next), b1 = load(b + k * next + LANES);
#pragma GCC unroll 16
            for (int i = 0; i < M; i++) {
                const V x = splat(a[i * across + k * along]);
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
        put(i, sum[0][i][0], sum[0][i][1]);
    }
}

// A tile of a height known when it runs.
template <bool Transposed, class Put>
static inline void tile_of(long height, const Term* terms, int count, long first, Put put) {
    switch (height) {
        case 1: return tile<1, 4, Transposed>(terms, count, first, put);
        case 2: return tile<2, 2, Transposed>(terms, count, first, put);
        case 3: return tile<3, 2, Transposed>(terms, count, first, put);
        case 4: return tile<4, 1, Transposed>(terms, count, first, put);
        case 5: return tile<5, 1, Transposed>(terms, count, first, put);
        case 6: return tile<6, 1, Transposed>(terms, count, first, put);
#if TILE > 6
        case 7: return tile<7, 1, Transposed>(terms, count, first, put);
        case 8: return tile<8, 1, Transposed>(terms, count, first, put);
        case 9: return tile<9, 1, Transposed>(terms, count, first, put);
        case 10: return tile<10, 1, Transposed>(terms, count, first, put);
        case 11: return tile<11, 1, Transposed>(terms, count, first, put);
        case 12: return tile<12, 1, Transposed>(terms, count, first, put);
#endif
    }
}

// Tiles of nearly equal height for n rows: `each(first, height)`.
template <class Each> static inline void tiles(long n, Each each) {
    for (long left = (n + TILE - 1) / TILE, row = 0; left > 0; left--) {
        const long height = (n - row + left - 1) / left;
        each(row, height);
        row += height;
    }
}

// `out` (n, BLOCK): a sum of products.
static void multiply(REAL* out, long n, const Term* terms, int count) {
    tiles(n, [=](long row, long height) {
        tile_of<false>(height, terms, count, row, [=](int i, V low, V high) {
            REAL* const to = out + (row + i) * BLOCK;
            store(to, low);
            store(to + LANES, high);
        });
    });
}

// `out` (n, wide), its rows `stride` apart, BLOCK wide at the most: a sum of transposed products is
// added to it, or, where `First`, put there.
template <bool First, bool Full>
static void sum_products(REAL* out, long stride, long n, long wide, const Term* terms, int count) {
    const I low_mask = lanes(wide), high_mask = lanes(wide - LANES);
    tiles(n, [=](long row, long height) {
        tile_of<true>(height, terms, count, row, [=](int i, V low, V high) {
            REAL* const to = out + (row + i) * stride;
            if (!First) low += read<Full>(to, low_mask), high += read<Full>(to + LANES, high_mask);
            write<Full>(to, low, low_mask);
            write<Full>(to + LANES, high, high_mask);
        });
    });
}

// Block `block` of the rows of a matrix (n, k), as a panel (k, BLOCK); zeros beyond row n.
static void pack(REAL* to, const REAL* m, long by_row, long by_column, long n, long k, long block) {
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
