// What a call is given, and where the rows of its sequences lie.

#pragma once

#include "matrix.hpp"

namespace {

// A stream over all steps and sequences: unit k of sequence b at step t is
// at[t * step + b * row + k / BLOCK * block + k % BLOCK].
struct Steps {
    REAL* at;
    long step, row, block;
};

INLINE Stream sequence(const Steps& s, long t, long b) {
    return {s.at + t * s.step + b * s.row, s.row, s.block};
}

struct Given {
    long steps, batch, groups, sharing;
    bool reverse;
    bool add;                                   // sums are added to what is there
    const int64_t* lengths;                     // by sequence; null where all are `steps` long
    const uint8_t* resets;                      // (steps, batch), or null
    void* kept;                                 // the memory of all streams out that are kept
    long kept_bytes;
    long size[SIZES + 1];
    Steps in[INPUTS + 1], out[OUTPUTS + 1];
    Steps previous[PREVIOUS + 1];
    bool shared[PREVIOUS + 1];                  // with the new value, which is one step later
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
    Steps stream() {
        REAL* const at = pointer<REAL>();
        const long step = integer(), row = integer(), block = integer();
        return {at, step, row, block};
    }
};

static Given given(Call call) {
    Given g;
    g.steps = call.integer();
    g.batch = call.integer();
    g.groups = call.integer();
    g.sharing = call.integer();
    g.reverse = call.integer();
    g.add = call.integer();
    g.lengths = call.pointer<const int64_t>();
    g.resets = call.pointer<const uint8_t>();
    g.kept = call.pointer<void>();
    g.kept_bytes = call.integer();
    for (int i = 0; i < SIZES; i++) g.size[i] = call.integer();
    for (int i = 0; i < INPUTS; i++) g.in[i] = call.stream();
    for (int i = 0; i < OUTPUTS; i++) g.out[i] = call.stream();
    for (int i = 0; i < PREVIOUS; i++) {
        g.previous[i] = call.stream();
        g.shared[i] = call.integer();
    }
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

// From a row of blocks to another; what is beyond unit n becomes zero where the row is `padded`.
static void copy_row(const Stream& to, const Stream& from, long n, bool padded) {
    long b = 0;
    for (; (b + 1) * BLOCK <= n; b++)
        memcpy(place(to, b, 0), place(from, b, 0), BLOCK * sizeof(REAL));
    const long left = n - b * BLOCK;
    if (!left) return;
    REAL* const last = place(to, b, 0);
    memcpy(last, place(from, b, 0), left * sizeof(REAL));
    if (padded) memset(last + left, 0, (BLOCK - left) * sizeof(REAL));
}

// Units that lie one after the other.
INLINE Stream flat(const REAL* at) { return {(REAL*)at, 0, BLOCK}; }

// One of a part's rows.
INLINE Stream row_of(const Stream& s, long row) { return {place(s, 0, row), s.row, s.block}; }

}  // namespace
