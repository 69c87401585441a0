// The CPU engine: one loop over time for every cell, forward and backward.
//
// A generated file defines the counts and tables that this file reads, includes it, and then
// defines `step`, what one thread does in one step. Letters: n rows (sequences that are not over),
// k columns of a matrix, u units. A block is BLOCK units; matrices are packed in panels of a block.

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DOUBLE
typedef double REAL;
typedef int64_t INTEGER;
#else
typedef float REAL;
typedef int32_t INTEGER;
#endif

#if defined(__AVX512F__)
#define WIDTH 64
#define TILE 12
#elif defined(__AVX__)
#define WIDTH 32
#define TILE 6
#else
#define WIDTH 16
#define TILE 6
#endif

typedef REAL V __attribute__((vector_size(WIDTH), may_alias));
typedef INTEGER I __attribute__((vector_size(WIDTH), may_alias));
typedef REAL Unaligned __attribute__((vector_size(WIDTH), aligned(sizeof(REAL)), may_alias));

#define INLINE static inline __attribute__((always_inline))

namespace {

constexpr long LANES = WIDTH / sizeof(REAL);
constexpr long BLOCK = 2 * LANES;

// --- memory -------------------------------------------------------------------------------------

INLINE V splat(REAL x) { return x - V{}; }
INLINE V load(const REAL* p) { return *(const Unaligned*)p; }
INLINE void store(REAL* p, V v) { *(Unaligned*)p = v; }

// True in the first `left` lanes.
INLINE I lanes(long left) {
    I mask;
    for (long l = 0; l < LANES; l++) mask[l] = l < left ? -1 : 0;
    return mask;
}

#if WIDTH == 32 && defined(DOUBLE)
typedef double Wide __attribute__((vector_size(32)));
typedef long long Mask __attribute__((vector_size(32)));
#define MASKED_LOAD(p, m) (V) __builtin_ia32_maskloadpd256((const Wide*)(p), (Mask)(m))
#define MASKED_STORE(p, m, v) __builtin_ia32_maskstorepd256((Wide*)(p), (Mask)(m), (Wide)(v))
#elif WIDTH == 32
typedef float Wide __attribute__((vector_size(32)));
typedef int Mask __attribute__((vector_size(32)));
#define MASKED_LOAD(p, m) (V) __builtin_ia32_maskloadps256((const Wide*)(p), (Mask)(m))
#define MASKED_STORE(p, m, v) __builtin_ia32_maskstoreps256((Wide*)(p), (Mask)(m), (Wide)(v))
#endif

// A vector at the edge of a tensor, whose row may end within it; zero beyond the end.
template <bool Full> INLINE V read(const REAL* p, I mask) {
    if (Full) return load(p);
#ifdef MASKED_LOAD
    return MASKED_LOAD(p, mask);
#else
    V v = {};
    for (long l = 0; l < LANES; l++)
        if (mask[l]) v[l] = p[l];
    return v;
#endif
}

template <bool Full> INLINE void write(REAL* p, V v, I mask) {
    if (Full) return store(p, v);
#ifdef MASKED_STORE
    MASKED_STORE(p, mask, v);
#else
    for (long l = 0; l < LANES; l++)
        if (mask[l]) p[l] = v[l];
#endif
}

template <bool Full> INLINE V within(V v, I mask) { return Full ? v : mask ? v : V{}; }

INLINE REAL added_up(V v) {
    REAL sum = 0;
    for (long l = 0; l < LANES; l++) sum += v[l];
    return sum;
}

// --- functions ----------------------------------------------------------------------------------
// NaN in, NaN out; errors of a few units in the last place. Each comparison is written so that
// NaN takes the branch that keeps it.

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

// --- matrices -----------------------------------------------------------------------------------

// One term of a sum of products: rows of k values, and a packed panel (k, BLOCK).
struct Term {
    const REAL* a;
    long stride;
    const REAL* panel;
    long k;
};

// M rows of `out` (BLOCK wide) = the sum over terms of a @ panel. K columns at a time have
// accumulators of their own: few rows alone would wait for one another's additions.
template <int M, int K>
static inline void tile(REAL* out, const Term* terms, int count, long row) {
    V sum[K][M][2] = {};
    for (int t = 0; t < count; t++) {
        const long stride = terms[t].stride, columns = terms[t].k;
        const REAL* a = terms[t].a + row * stride;
        const REAL* b = terms[t].panel;
        long k = 0;
        for (; k + K <= columns; k += K, a += K, b += K * BLOCK) {
#pragma GCC unroll 8
            for (int j = 0; j < K; j++) {
                const V b0 = load(b + j * BLOCK), b1 = load(b + j * BLOCK + LANES);
#pragma GCC unroll 16
                for (int i = 0; i < M; i++) {
                    const V x = splat(a[i * stride + j]);
                    sum[j][i][0] += x * b0;
                    sum[j][i][1] += x * b1;
                }
            }
        }
        for (; K > 1 && k < columns; k++, a++, b += BLOCK) {
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
static void multiply(REAL* out, long n, const Term* terms, int count) {
    const long tiles = (n + TILE - 1) / TILE;
    for (long i = 0, row = 0; i < tiles; i++) {
        const long height = (n - row + (tiles - i) - 1) / (tiles - i);
        REAL* to = out + row * BLOCK;
        switch (height) {
            case 1: tile<1, 4>(to, terms, count, row); break;
            case 2: tile<2, 2>(to, terms, count, row); break;
            case 3: tile<3, 2>(to, terms, count, row); break;
            case 4: tile<4, 1>(to, terms, count, row); break;
            case 5: tile<5, 1>(to, terms, count, row); break;
            case 6: tile<6, 1>(to, terms, count, row); break;
#if TILE > 6
            case 7: tile<7, 1>(to, terms, count, row); break;
            case 8: tile<8, 1>(to, terms, count, row); break;
            case 9: tile<9, 1>(to, terms, count, row); break;
            case 10: tile<10, 1>(to, terms, count, row); break;
            case 11: tile<11, 1>(to, terms, count, row); break;
            case 12: tile<12, 1>(to, terms, count, row); break;
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
