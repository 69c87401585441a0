// The CPU engine: one loop over time for every cell, forward and backward.
//
// A generated file defines the counts and tables that this file reads, includes it, and then
// defines `step`, what one thread does in one step. Letters: n rows (sequences that are not over),
// k columns of a matrix, u units. A block is BLOCK units; matrices are packed in panels of a block.

#include <omp.h>

#include "functions.hpp"
#include "matrix.hpp"

namespace {

// --- threads ------------------------------------------------------------------------------------

// Threads that share rows meet here after each stage. They wait for less than a stage, so they
// spin; only a thread whose peer has lost its core gives up its own.
struct alignas(64) Barrier {
    int waiting, round;
};

extern "C" int sched_yield(void);

static void meet(Barrier* barrier, int threads) {
    if (threads == 1) return;
    const int round = __atomic_load_n(&barrier->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->waiting, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&barrier->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round; spins++) {
        if (spins > 20000) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
        else __builtin_ia32_pause();
#endif
    }
}

// --- the loop over time -------------------------------------------------------------------------

struct Stream {
    REAL* at;
    long stride;
};

// What one thread has to do with one step: some rows, and of each size some blocks of units.
struct Part {
    long n;                        // rows
    Stream in[INPUTS + 1];         // at the first row of this step
    Stream out[OUTPUTS + 1];
    REAL* old[STATES + 1];         // states as read, (n, padded)
    REAL* now[STATES + 1];         // states as set
    REAL* buffer[BUFFERS + 1];     // what later stages read, (n, padded)
    REAL* scalar[SCALARS + 1];     // (n,)
    REAL* partial[PARTIALS + 1];   // (n, LANES): sums over units, not yet added up
    REAL* total[TOTALS + 1];       // sums over rows and steps, (padded,)
    const REAL* vector[VECTORS + 1];
    REAL number[NUMBERS + 1];
    const REAL* panels[MATRICES + 1];
    REAL* scratch;                 // (products, CHUNK, BLOCK)
    long size[SIZES + 1], padded[SIZES + 1], first[SIZES + 1], last[SIZES + 1];
    Barrier* barrier;
    int sharing;                   // threads at the barrier
};

static void step(Part& part);

INLINE long whole(long n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

// What a call is given, as 64-bit integers in this order; pointers are integers too.
struct Call {
    const int64_t* next;
    int64_t integer() { return *next++; }
    template <class T> T* pointer() { return (T*)(uintptr_t)*next++; }
};

struct Given {
    long steps, batch, groups, sharing;
    bool reverse;
    const int64_t* counts;         // rows by step
    const uint8_t* resets;         // by row of all steps, or null
    long size[SIZES + 1];
    Stream in[INPUTS + 1], out[OUTPUTS + 1];
    const REAL* initial[STATES + 1];
    REAL* final[STATES + 1];
    const REAL* vector[VECTORS + 1];
    REAL number[NUMBERS + 1];
    const REAL* matrix[MATRICES + 1];
    long by_row[MATRICES + 1], by_column[MATRICES + 1];
    REAL* total[TOTALS + 1];       // (groups, n)
};

// Memory for a call, handed out in order; the first pass only counts.
struct Arena {
    char* memory;
    size_t used;
    REAL* take(long n) {
        REAL* p = memory ? (REAL*)(memory + used) : 0;
        used += (n * sizeof(REAL) + 63) / 64 * 64;
        return p;
    }
};

INLINE long unit_count(const Given& g, int size) { return size < 0 ? 1 : whole(g.size[size]); }

static void lay_out(const Given& g, Arena& arena, Part& p, long rows) {
    for (int i = 0; i < STATES; i++) {
        p.old[i] = arena.take(rows * whole(g.size[STATE_SIZE[i]]));
        p.now[i] = arena.take(rows * whole(g.size[STATE_SIZE[i]]));
    }
    for (int i = 0; i < BUFFERS; i++) p.buffer[i] = arena.take(rows * whole(g.size[BUFFER_SIZE[i]]));
    for (int i = 0; i < SCALARS; i++) p.scalar[i] = arena.take(rows);
    for (int i = 0; i < PARTIALS; i++) p.partial[i] = arena.take(rows * LANES);
    for (int i = 0; i < TOTALS; i++) p.total[i] = arena.take(unit_count(g, TOTAL_SIZE[i]));
}

// The rows of group `r` among the first n: every groups-th, so that short sequences are shared out.
INLINE long rows_of(const Given& g, long r, long n) { return n > r ? (n - r - 1) / g.groups + 1 : 0; }

static void copy_states(const Given& g, Part& p, long r, long from, long to, bool in) {
    for (int i = 0; i < STATES; i++) {
        const long n = g.size[STATE_SIZE[i]], padded = whole(n);
        for (long row = from; row < to; row++) {
            const long at = (r + row * g.groups) * n;
            if (in) memcpy(p.old[i] + row * padded, g.initial[i] + at, n * sizeof(REAL));
            else memcpy(g.final[i] + at, p.old[i] + row * padded, n * sizeof(REAL));
        }
    }
}

static void reset_states(const Given& g, REAL* const* states, long r, long n, long offset) {
    for (long row = 0; row < n; row++)
        if (g.resets[offset + r + row * g.groups])
            for (int i = 0; i < STATES; i++) {
                const long padded = whole(g.size[STATE_SIZE[i]]);
                memset(states[i] + row * padded, 0, padded * sizeof(REAL));
            }
}

// All steps for the rows of group `r`; `share` of `p.sharing` threads that do so together.
static void run_rows(const Given& g, Part p, long r, int share) {
    for (int i = 0; i < SIZES; i++) {
        const long blocks = whole(g.size[i]) / BLOCK;
        p.size[i] = g.size[i];
        p.padded[i] = whole(g.size[i]);
        p.first[i] = blocks * share / p.sharing;
        p.last[i] = blocks * (share + 1) / p.sharing;
    }
    for (int i = 0; i < INPUTS; i++) p.in[i].stride = g.in[i].stride * g.groups;
    for (int i = 0; i < OUTPUTS; i++) p.out[i].stride = g.out[i].stride * g.groups;
    const bool first = share == 0;
    long offset = 0, n = 0;
    if (g.reverse)
        for (long t = 0; t < g.steps; t++) offset += g.counts[t];
    for (long s = 0; s < g.steps; s++) {
        const long count = g.counts[g.reverse ? g.steps - 1 - s : s], here = rows_of(g, r, count);
        if (g.reverse) offset -= count;
        const bool cut = g.resets && !g.reverse;
        if (first && here > n) copy_states(g, p, r, n, here, true);
        if (first && here < n) copy_states(g, p, r, here, n, false);
        if (first && cut) reset_states(g, p.old, r, here, offset);
        if (here > n || cut) meet(p.barrier, p.sharing);
        p.n = n = here;
        if (n) {
            for (int i = 0; i < INPUTS; i++)
                p.in[i].at = g.in[i].at + (offset + r) * g.in[i].stride;
            for (int i = 0; i < OUTPUTS; i++)
                p.out[i].at = g.out[i].at + (offset + r) * g.out[i].stride;
            step(p);
            if (g.resets && g.reverse) {
                if (first) reset_states(g, p.now, r, n, offset);
                meet(p.barrier, p.sharing);
            }
            for (int i = 0; i < STATES; i++) {
                REAL* last = p.old[i];
                p.old[i] = p.now[i];
                p.now[i] = last;
            }
        }
        if (!g.reverse) offset += count;
    }
    if (!first) return;
    copy_states(g, p, r, 0, n, false);
    for (int i = 0; i < TOTALS; i++) {
        const long units = TOTAL_SIZE[i] < 0 ? 1 : g.size[TOTAL_SIZE[i]];
        memcpy(g.total[i] + r * units, p.total[i], units * sizeof(REAL));
    }
}

static Given given(Call call) {
    Given g;
    g.steps = call.integer();
    g.batch = call.integer();
    g.groups = call.integer();
    g.sharing = call.integer();
    g.reverse = call.integer();
    g.counts = call.pointer<const int64_t>();
    g.resets = call.pointer<const uint8_t>();
    for (int i = 0; i < SIZES; i++) g.size[i] = call.integer();
    for (int i = 0; i < INPUTS; i++) g.in[i] = {call.pointer<REAL>(), (long)call.integer()};
    for (int i = 0; i < OUTPUTS; i++) g.out[i] = {call.pointer<REAL>(), (long)call.integer()};
    for (int i = 0; i < STATES; i++) {
        g.initial[i] = call.pointer<const REAL>();
        g.final[i] = call.pointer<REAL>();
    }
    for (int i = 0; i < VECTORS; i++) g.vector[i] = call.pointer<const REAL>();
    for (int i = 0; i < NUMBERS; i++) g.number[i] = *call.pointer<const REAL>();
    for (int i = 0; i < MATRICES; i++) {
        g.matrix[i] = call.pointer<const REAL>();
        g.by_row[i] = call.integer();
        g.by_column[i] = call.integer();
    }
    for (int i = 0; i < TOTALS; i++) g.total[i] = call.pointer<REAL>();
    return g;
}

static int run_all(const int64_t* call) {
    const Given g = given({call});
    const long threads = g.groups * g.sharing, rows = (g.batch + g.groups - 1) / g.groups;
    Part all;
    Part* parts = (Part*)malloc(threads * sizeof(Part));
    Barrier* barriers = (Barrier*)aligned_alloc(64, g.groups * sizeof(Barrier));
    if (!parts || !barriers) return 1;
    memset(barriers, 0, g.groups * sizeof(Barrier));
    Arena arena = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < VECTORS; i++) all.vector[i] = arena.take(whole(g.size[VECTOR_SIZE[i]]));
        for (int i = 0; i < MATRICES; i++)
            all.panels[i] = arena.take(whole(g.size[MATRIX_ROWS[i]]) * g.size[MATRIX_COLUMNS[i]]);
        for (long r = 0; r < g.groups; r++) {
            Part& p = parts[r * g.sharing] = all;
            lay_out(g, arena, p, rows);
            p.barrier = barriers + r;
            p.sharing = (int)g.sharing;
            for (long s = 0; s < g.sharing; s++) {
                parts[r * g.sharing + s] = p;
                parts[r * g.sharing + s].scratch = arena.take(PRODUCTS * CHUNK * BLOCK);
            }
        }
        if (pass) break;
        arena.memory = (char*)aligned_alloc(64, arena.used + 64);
        if (!arena.memory) return 1;
        memset(arena.memory, 0, arena.used);
        arena.used = 0;
    }
    for (int i = 0; i < VECTORS; i++)
        memcpy((REAL*)all.vector[i], g.vector[i], g.size[VECTOR_SIZE[i]] * sizeof(REAL));
    for (long i = 0; i < threads; i++)
        for (int j = 0; j < NUMBERS; j++) parts[i].number[j] = g.number[j];
    // Sequences of no steps keep their states.
    for (int i = 0; i < STATES; i++) {
        const long n = g.size[STATE_SIZE[i]], from = g.steps ? g.counts[0] : 0;
        memcpy(g.final[i] + from * n, g.initial[i] + from * n, (g.batch - from) * n * sizeof(REAL));
    }
    // A team may be smaller than asked for, and then nobody may wait for who is not there.
#pragma omp parallel num_threads((int)threads) if (threads > 1)
    {
        const long me = omp_get_thread_num(), team = omp_get_num_threads();
        for (int i = 0; i < MATRICES; i++) {
            const long n = g.size[MATRIX_ROWS[i]], blocks = whole(n) / BLOCK;
            for (long b = me; b < blocks; b += team)
                pack((REAL*)all.panels[i], g.matrix[i], g.by_row[i], g.by_column[i], n,
                     g.size[MATRIX_COLUMNS[i]], b);
        }
#pragma omp barrier
        if (team == threads) {
            run_rows(g, parts[me], me / g.sharing, (int)(me % g.sharing));
        } else {
            for (long r = me; r < g.groups; r += team) {
                Part alone = parts[r * g.sharing];
                alone.sharing = 1;
                run_rows(g, alone, r, 0);
            }
        }
    }
    free(arena.memory);
    free(barriers);
    free(parts);
    return 0;
}

}  // namespace
