// What a call is given, and where the rows of its sequences lie.

#pragma once

#include "matrix.hpp"

namespace {

struct Given {
    long steps, batch, groups, sharing;
    bool reverse;
    const int64_t* lengths;                     // by sequence; null where all are `steps` long
    const uint8_t* resets;                      // (steps, batch), or null
    long size[SIZES + 1];
    Stream in[INPUTS + 1], out[OUTPUTS + 1];    // (steps, batch, n)
    Stream previous[PREVIOUS + 1];              // as well; null where nobody wants it
    const REAL* initial[STATES + 1];            // (batch, n)
    REAL* final[STATES + 1];
    const REAL* vector[VECTORS + 1];
    REAL number[NUMBERS + 1];
    const REAL* matrix[PANELS + 1];
    long by_row[PANELS + 1], by_column[PANELS + 1];
    REAL* total[TOTALS + 1];                    // (n,)
    REAL* matrix_sum[MATRIX_SUMS + 1];          // (rows, columns)
};

// 64-bit integers in the order of `Given`; pointers are integers too.
struct Call {
    const int64_t* next;
    int64_t integer() { return *next++; }
    template <class T> T* pointer() { return (T*)(uintptr_t)*next++; }
    Stream stream() {
        REAL* const at = pointer<REAL>();
        return {at, (long)integer(), BLOCK};
    }
};

static Given given(Call call) {
    Given g;
    g.steps = call.integer();
    g.batch = call.integer();
    g.groups = call.integer();
    g.sharing = call.integer();
    g.reverse = call.integer();
    g.lengths = call.pointer<const int64_t>();
    g.resets = call.pointer<const uint8_t>();
    for (int i = 0; i < SIZES; i++) g.size[i] = call.integer();
    for (int i = 0; i < INPUTS; i++) g.in[i] = call.stream();
    for (int i = 0; i < OUTPUTS; i++) g.out[i] = call.stream();
    for (int i = 0; i < PREVIOUS; i++) g.previous[i] = call.stream();
    for (int i = 0; i < STATES; i++) {
        g.initial[i] = call.pointer<const REAL>();
        g.final[i] = call.pointer<REAL>();
    }
    for (int i = 0; i < VECTORS; i++) g.vector[i] = call.pointer<const REAL>();
    for (int i = 0; i < NUMBERS; i++) g.number[i] = *call.pointer<const REAL>();
    for (int i = 0; i < PANELS; i++) {
        g.matrix[i] = call.pointer<const REAL>();
        g.by_row[i] = call.integer();
        g.by_column[i] = call.integer();
    }
    for (int i = 0; i < TOTALS; i++) g.total[i] = call.pointer<REAL>();
    for (int i = 0; i < MATRIX_SUMS; i++) g.matrix_sum[i] = call.pointer<REAL>();
    return g;
}

INLINE long units(const Given& g, int size) { return size < 0 ? 1 : g.size[size]; }

// Which sequences are at work in a step: the first `counts[t]` of `order`. Group r has every
// groups-th of them, so that short sequences are shared out.
struct Rows {
    long groups;
    long* counts;
    long* order;  // null where it is 0, 1, 2, …
    long of(long r, long t) const { return counts[t] > r ? (counts[t] - r - 1) / groups + 1 : 0; }
    long sequence(long r, long row) const {
        const long i = r + row * groups;
        return order ? order[i] : i;
    }
};

// Longest first; sequences of one length in their order. `order` has room for steps + 1 more.
static void sort_rows(const Given& g, Rows& rows) {
    for (long t = 0; t < g.steps; t++) rows.counts[t] = g.lengths ? 0 : g.batch;
    if (!g.lengths) return;
    for (long b = 0; b < g.batch; b++)
        for (long t = 0; t < g.lengths[b]; t++) rows.counts[t]++;
    long* const place = rows.order + g.batch;  // where the next sequence of each length goes
    for (long length = 0; length < g.steps; length++) place[length] = rows.counts[length];
    place[g.steps] = 0;
    for (long b = 0; b < g.batch; b++) rows.order[place[g.lengths[b]]++] = b;
}

// Whether a group's rows of many steps lie as those of one step do, at one distance.
INLINE bool is_even(const Given& g) { return !g.lengths && g.batch % g.groups == 0; }

// Between n units that lie one after the other and a row of blocks.
template <bool In> static void copy_row(const Stream& blocks, long row, REAL* flat, long n) {
    for (long b = 0; b * BLOCK < n; b++) {
        REAL* const at = place(blocks, b, row);
        const long wide = n - b * BLOCK < BLOCK ? n - b * BLOCK : BLOCK;
        if (In) {
            if (wide == BLOCK) memcpy(at, flat + b * BLOCK, BLOCK * sizeof(REAL));
            else for (long i = 0; i < BLOCK; i++) at[i] = i < wide ? flat[b * BLOCK + i] : REAL(0);
        } else {
            if (wide == BLOCK) memcpy(flat + b * BLOCK, at, BLOCK * sizeof(REAL));
            else memcpy(flat + b * BLOCK, at, wide * sizeof(REAL));
        }
    }
}

}  // namespace
