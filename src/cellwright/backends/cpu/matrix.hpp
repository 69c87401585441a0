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

// One term of a sum of products: rows of units as the engine keeps them, each block's rows BLOCK
// apart, and a panel (k, BLOCK). Transposed, both are blocks, and k are their rows.
struct Term {
    const REAL* a;
    long block;
    const REAL* panel;
    long k;
};

// Of the product of a matrix, packed, with a vector: the part that is one block of the result.
INLINE Term term(const Stream& a, long from, const REAL* packed, long block, long k) {
    return {place(a, 0, from), a.block, packed + block * k * BLOCK, k};
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
