// How rows and matrices lie in memory, and what can be done with them: matrix.cpp does it.

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

// A matrix (n, k): packed, which is block by block of its rows as a panel (k, BLOCK); or, where it
// is used too seldom for that, as it is given, row by row.
struct Matrix {
    const REAL* at;
    long n;
    long by_row;  // from one row to the next; 0 where it is packed
};

// One term of a sum of products: rows of units as the engine keeps them, each block's rows BLOCK
// apart, and a panel (k, BLOCK). Transposed, both are blocks, and k are their rows. Where `by_row` is
// not 0, there are `n` rows of a matrix instead of a panel.
struct Term {
    const REAL* a;
    long block;
    const REAL* panel;
    long k;
    long by_row, n;
};

INLINE long least(long a, long b) { return a < b ? a : b; }

// Of the product of a matrix with a vector: the part that is one block of the result.
INLINE Term term(const Stream& a, long from, const Matrix& m, long block, long k) {
    const REAL* const panel = m.at + block * BLOCK * (m.by_row ? m.by_row : k);
    return {place(a, 0, from), a.block, panel, k, m.by_row, least(BLOCK, m.n - block * BLOCK)};
}

// Where a result goes: its rows `stride` apart, BLOCK wide at the most; LANES and BLOCK are fastest.
struct Result {
    REAL* at;
    long stride, wide;
};

// A sum of products for n rows, put there or added to what is there.
typedef void Products(Result to, long n, const Term* terms, int count, bool add);

// Compiled once for all cells; a cell's library is given them.
struct Kernels {
    long block;  // how many units a block has
    Products* multiply;
    Products* multiply_transposed;
    // Block `block` of the rows of a matrix (n, k), as a panel (k, BLOCK); zeros beyond row n.
    void (*pack)(REAL* to, const REAL* m, long by_row, long by_column, long n, long k, long block);
    // Memory for a call, aligned to 64 bytes, anything in it; null where there is none.
    void* (*take)(size_t bytes);
    void (*give_back)(void* memory);
    // Says that memory will be written to, all of it.
    void (*announce)(void* memory, size_t bytes);
};

}  // namespace
