// The CPU engine: one loop over time for every cell, forward and backward.
//
// A generated file defines the counts and tables that this file reads, includes it, and then
// defines `ahead`, `loop` and `behind`: what one thread does for many steps before the loop comes to
// them, for one step, and for many steps when it has passed them. Time runs in chunks: their steps
// ahead, then one by one, then behind, so that what passes from phase to phase stays in a cache.
//
// Letters: n rows, a row being a sequence at one step; k columns of a matrix; r a group, the rows
// that one thread works on, or several together. A block is BLOCK units.

#include <limits.h>
#include <omp.h>
#include <sched.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "functions.hpp"
#include "rows.hpp"

namespace {

static const Kernels* kernels;  // the same in every call

// --- threads ------------------------------------------------------------------------------------

// Threads that share rows meet here after each stage. They wait for less than a stage, so they spin
// at first. A thread whose peer has lost its core sleeps until it is woken: a scheduler runs one that
// has slept before those that are busy, where one that yields, or spins on, waits behind all of them.
struct alignas(64) Barrier {
    int waiting, round, sleeping;
};

constexpr int SPINS = 4000;

INLINE void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");  // `yield` does nothing on most of these
#endif
}

#if defined(__linux__)
static void sleep_at(Barrier* barrier, int round) {
    syscall(SYS_futex, &barrier->round, FUTEX_WAIT_PRIVATE, round, nullptr, nullptr, 0);
}
static void wake_at(Barrier* barrier) {
    syscall(SYS_futex, &barrier->round, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}
#else
static void sleep_at(Barrier*, int) { sched_yield(); }
static void wake_at(Barrier*) {}
#endif

static void wait_at(Barrier* barrier, int threads) {
    const int round = __atomic_load_n(&barrier->round, __ATOMIC_RELAXED);
    const auto over = [&] { return __atomic_load_n(&barrier->round, __ATOMIC_SEQ_CST) != round; };
    if (__atomic_add_fetch(&barrier->waiting, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&barrier->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&barrier->sleeping, __ATOMIC_SEQ_CST)) wake_at(barrier);
        return;
    }
    for (int spins = 0; spins < SPINS; spins++) {
        if (over()) return;
        relax();
    }
    __atomic_add_fetch(&barrier->sleeping, 1, __ATOMIC_SEQ_CST);
    while (!over()) sleep_at(barrier, round);
    __atomic_sub_fetch(&barrier->sleeping, 1, __ATOMIC_SEQ_CST);
}

// What a thread works on: some rows, and of each size some blocks of units.
struct Part {
    long n;
    Stream in[INPUTS + 1], out[OUTPUTS + 1];
    Stream old[STATES + 1], now[STATES + 1];    // states as read and as set
    Stream buffer[BUFFERS + 1];                 // what later stages of a step read
    Stream chunk[CHUNKS + 1];                   // what other phases read
    REAL* scalar[SCALARS + 1];                  // a number a row
    REAL* partial[PARTIALS + 1];                // (n, LANES): sums over units, not yet added up
    REAL* total[TOTALS + 1];                    // sums over rows and steps
    const REAL* vector[VECTORS + 1];
    REAL number[NUMBERS + 1];
    Matrix matrix[PANELS + 1];
    REAL* scratch;                              // (products, SLICE, BLOCK)
    long size[SIZES + 1], first[SIZES + 1], last[SIZES + 1];
    bool mirrored;                              // blocks from the last to the first
    Barrier* barrier;
    int share, sharing;                         // of the threads at the barrier
};

static void meet(Part& p) {
    if (p.sharing > 1) wait_at(p.barrier, p.sharing);
}

static void ahead(Part& p);
static void loop(Part& p);
static void behind(Part& p);

INLINE long most(long a, long b) { return a > b ? a : b; }
INLINE long blocks_of(long n) { return (n + BLOCK - 1) / BLOCK; }

INLINE bool is_full(const Part& p, int size, long block) {
    return (block + 1) * BLOCK <= p.size[size];
}

// How many units of a block there is work for: vectors of them.
INLINE long width(const Part& p, int size, long block) {
    return least(BLOCK, (p.size[size] - block * BLOCK + LANES - 1) / LANES * LANES);
}

// The blocks of a part, some rows at a time.
template <class Each> static inline void each_block(const Part& p, int size, Each each) {
    const long first = p.first[size], last = p.last[size];
    for (long i = first; i < last; i++) {
        const long block = p.mirrored ? first + last - 1 - i : i;
        for (long from = 0; from < p.n; from += SLICE) each(block, from, least(SLICE, p.n - from));
    }
}

// --- products -----------------------------------------------------------------------------------

constexpr long CACHED = 262144 / sizeof(REAL);  // of what is read again and again

// A matrix with what it is applied to.
struct Factor {
    const Stream& a;
    const Matrix& m;
    long k;
};

// A sum of products for the rows of a part, made where it is kept. Rows that fit in a cache see all
// blocks of a matrix before the next ones do, and where all terms together do not fit, each term.
// `Own`, where it is sure to have room for whole blocks, as what goes out to a caller has not.
template <bool Own, int COUNT>
static void make(const Part& p, int size, const Stream& to, const Factor (&factors)[COUNT]) {
    long columns = 0, widest = 0;
    for (const Factor& f : factors) {
        columns += f.k;
        if (f.k > widest) widest = f.k;
    }
    const int at_once = p.n * columns <= CACHED ? COUNT : 1;
    const long high = at_once > 1 || p.n * columns <= CACHED ? p.n : CACHED / widest + 1;
    for (int t = 0; t < COUNT; t += at_once)
        for (long from = 0; from < p.n; from += high)
            for (long i = p.first[size]; i < p.last[size]; i++) {
                const long block = p.mirrored ? p.first[size] + p.last[size] - 1 - i : i;
                Term terms[COUNT];
                for (int j = t; j < t + at_once; j++)
                    terms[j] = term(factors[j].a, from, factors[j].m, block, factors[j].k);
                const long left = p.size[size] - block * BLOCK;
                const long wide = Own ? width(p, size, block) : least(BLOCK, left);
                kernels->multiply({place(to, block, from), to.row, wide}, least(high, p.n - from),
                                  terms + t, at_once, t > 0);
            }
}

// --- memory -------------------------------------------------------------------------------------

#ifdef __SANITIZE_ADDRESS__
extern "C" void __asan_poison_memory_region(const volatile void*, size_t);
#endif

// Memory for a call, handed out in order; the first pass only counts.
struct Arena {
    char* memory;
    size_t used;
    template <class T> T* take(long n) {
        T* p = memory ? (T*)(memory + used) : 0;
        used += (n * sizeof(T) + 63) / 64 * 64;
#ifdef __SANITIZE_ADDRESS__  // what lies between two of these is nobody's
        if (memory) __asan_poison_memory_region(memory + used, 64);
        used += 64;
#endif
        return p;
    }
    // An odd number of rows apart, so that the blocks of a row lie in different sets of a cache.
    Stream stream(long rows, long n) {
        return {take<REAL>((rows | 1) * blocks_of(n) * BLOCK), BLOCK, (rows | 1) * BLOCK};
    }
};

// A group: its part of a step, and of a chunk; copies of streams, by chunk.
struct Work {
    Part step, chunk;
    Stream in_copy[INPUTS + 1], out_copy[OUTPUTS + 1];
    long n;     // rows at work, whose states are in `step`
    long rows;  // of the chunk
};

// How many steps a chunk has: what its rows keep is to stay in a cache, and there have to be rows
// enough for products to be worth their panels, and for sums of outer products worth their memory.
static long chunk_steps(const Given& g) {
    long wide = 0;
    for (int i = 0; i < CHUNKS; i++) wide += blocks_of(g.size[CHUNK_SIZE[i]]) * BLOCK;
    const long fitting = 393216 / ((wide + 1) * (long)sizeof(REAL));
#ifdef POISON  // tests: many chunks of a few rows
    const long rows = least(24, fitting);
#else
    const long rows = least(1024, most(OUTERS ? 384 : 192, fitting));
#endif
    const long a_step = most(1, (g.batch + g.groups - 1) / g.groups);
    const long longest = (rows + a_step - 1) / a_step;
    const long chunks = (g.steps + longest - 1) / longest;
    return chunks ? (g.steps + chunks - 1) / chunks : 1;
}

static void lay_out(const Given& g, Arena& arena, Work& w, long rows, long chunk_rows) {
    Part& p = w.step;
    for (int i = 0; i < STATES; i++) {
        p.old[i] = arena.stream(rows, g.size[STATE_SIZE[i]]);
        p.now[i] = arena.stream(rows, g.size[STATE_SIZE[i]]);
    }
    for (int i = 0; i < BUFFERS; i++) p.buffer[i] = arena.stream(rows, g.size[BUFFER_SIZE[i]]);
    for (int i = 0; i < PARTIALS; i++) p.partial[i] = arena.take<REAL>(chunk_rows * LANES);
    for (int i = 0; i < TOTALS; i++)
        p.total[i] = arena.take<REAL>(blocks_of(units(g, TOTAL_SIZE[i])) * BLOCK);
    w.chunk = p;
    for (int i = 0; i < SCALARS; i++) w.chunk.scalar[i] = arena.take<REAL>(chunk_rows);
    for (int i = 0; i < CHUNKS; i++)
        w.chunk.chunk[i] = arena.stream(chunk_rows, g.size[CHUNK_SIZE[i]]);
    for (int i = 0; i < INPUTS; i++) {
        w.in_copy[i] = Stream{};
        for (int j = 0; j < CHUNKS; j++)
            if (COPY_OF[j] == i) w.in_copy[i] = w.chunk.chunk[j];
        if ((g.lengths || INPUT_OF_CHUNK[i]) && !w.in_copy[i].row)
            w.in_copy[i] = arena.stream(chunk_rows, units(g, INPUT_SIZE[i]));
        w.chunk.in[i] = w.in_copy[i];
    }
    for (int i = 0; i < OUTPUTS; i++) {
        // Behind the loop many steps are written as one, so their rows have to lie as those of one.
        const bool even = g.out[i].step == g.batch * g.out[i].row && g.batch % g.groups == 0;
        const bool copied = g.lengths || (OUTPUT_OF_CHUNK[i] && !even);
        w.out_copy[i] = copied ? arena.stream(chunk_rows, units(g, OUTPUT_SIZE[i])) : Stream{};
    }
}

// --- rows that come and go ----------------------------------------------------------------------

static void bring_states(const Given& g, const Rows& rows, Work& w, long r, long from, long to) {
    for (int i = 0; i < STATES; i++) {
        const long n = g.size[STATE_SIZE[i]];
        for (long row = from; row < to; row++)
            copy_row(row_of(w.step.old[i], row), flat(g.initial[i] + rows.sequence(r, row) * n), n,
                     true);
    }
}

static void leave_states(const Given& g, const Rows& rows, Work& w, long r, long from, long to) {
    for (int i = 0; i < STATES; i++) {
        const long n = g.size[STATE_SIZE[i]];
        for (long row = from; row < to; row++)
            copy_row(flat(g.final[i] + rows.sequence(r, row) * n), row_of(w.step.old[i], row), n,
                     false);
    }
}

static void reset_states(const Given& g, const Rows& rows, const Stream* states, long r, long n, long t) {
    for (long row = 0; row < n; row++)
        if (g.resets[t * g.batch + rows.sequence(r, row)])
            for (int i = 0; i < STATES; i++)
                for (long b = 0; b < blocks_of(g.size[STATE_SIZE[i]]); b++)
                    memset(place(states[i], b, row), 0, BLOCK * sizeof(REAL));
}

// States as this step reads them; where they share the memory of what the step before has set, that
// is only to be done for the first step.
static void copy_previous(const Given& g, const Rows& rows, Work& w, long r, long n, long t) {
    const bool first = t == (g.reverse ? g.steps - 1 : 0);
    for (int i = 0; i < PREVIOUS; i++) {
        if (g.shared[i] && !first) continue;
        const int state = PREVIOUS_STATE[i];
        for (long row = 0; row < n; row++)
            copy_row(sequence(g.previous[i], t, rows.sequence(r, row)),
                     row_of(w.step.old[state], row), g.size[STATE_SIZE[state]], false);
    }
}

// The steps of a chunk, to and from a copy of them.
static void copy_in(const Given& g, const Rows& rows, const Stream& copy, const Steps& stream,
                    long n, long r, long start, long end) {
    for (long t = start, at = 0; t < end; t++)
        for (long row = 0; row < rows.of(r, t); row++, at++)
            copy_row(row_of(copy, at), sequence(stream, t, rows.sequence(r, row)), n, true);
}

static void copy_out(const Given& g, const Rows& rows, const Stream& copy, const Steps& stream,
                     long n, long r, long start, long end) {
    for (long t = start, at = 0; t < end; t++)
        for (long row = 0; row < rows.of(r, t); row++, at++)
            copy_row(sequence(stream, t, rows.sequence(r, row)), row_of(copy, at), n, false);
}

static void clear(const Steps& s, long t, long b, long n) {
    const Stream row = sequence(s, t, b);
    for (long k = 0; k * BLOCK < n; k++)
        memset(place(row, k, 0), 0, least(BLOCK, n - k * BLOCK) * sizeof(REAL));
}

// Zeros where sequences of the group are over.
static void clear_ends(const Given& g, long r) {
    for (long b = r; g.lengths && b < g.batch; b += g.groups)
        for (long t = g.lengths[b]; t < g.steps; t++) {
            for (int i = 0; i < OUTPUTS; i++) clear(g.out[i], t, b, units(g, OUTPUT_SIZE[i]));
            for (int i = 0; i < PREVIOUS; i++)
                if (!g.shared[i]) clear(g.previous[i], t, b, g.size[STATE_SIZE[PREVIOUS_STATE[i]]]);
        }
}

// --- the loop over time -------------------------------------------------------------------------

// What step t sees, whose rows are in the chunk from row `at` on.
static void look(const Given& g, Work& w, long r, long t, long at) {
    Part& step = w.step;
    for (int i = 0; i < INPUTS; i++) {
        const Stream rows = sequence(g.in[i], t, r);
        if (w.in_copy[i].row) step.in[i] = row_of(w.in_copy[i], at);
        else step.in[i] = {rows.at, rows.row * g.groups, rows.block};
    }
    for (int i = 0; i < OUTPUTS; i++) {
        const Stream rows = sequence(g.out[i], t, r);
        if (w.out_copy[i].row) step.out[i] = row_of(w.out_copy[i], at);
        else step.out[i] = {rows.at, rows.row * g.groups, rows.block};
    }
    for (int i = 0; i < CHUNKS; i++) step.chunk[i] = row_of(w.chunk.chunk[i], at);
    for (int i = 0; i < SCALARS; i++) step.scalar[i] = w.chunk.scalar[i] + at;
}

static void run_step(const Given& g, const Rows& rows, Work& w, long r, long t, long at) {
    Part& p = w.step;
    const long here = rows.of(r, t);
    const bool first = p.share == 0, cut = g.resets && !g.reverse, joining = here > w.n;
    if (first && joining) bring_states(g, rows, w, r, w.n, here);
    if (first && here < w.n) leave_states(g, rows, w, r, here, w.n);
    if (first && cut) reset_states(g, rows, p.old, r, here, t);
    p.n = w.n = here;
    if (!here) return;
    if (first) copy_previous(g, rows, w, r, here, t);
    if (joining || cut) meet(p);
    look(g, w, r, t, at);
    p.mirrored = t & 1;  // what was used last in the step before is what a cache still has
    loop(p);
    if (g.resets && g.reverse) {
        if (first) reset_states(g, rows, p.now, r, here, t);
        meet(p);
    }
    for (int i = 0; i < STATES; i++) {
        const Stream last = p.old[i];
        p.old[i] = p.now[i];
        p.now[i] = last;
    }
}

// The steps from `start` to `end` for group r.
static void run_chunk(const Given& g, const Rows& rows, Work& w, long r, long start, long end) {
    Part& p = w.chunk;
    w.rows = 0;
    for (long t = start; t < end; t++) w.rows += rows.of(r, t);
    p.n = w.rows;
    for (int i = 0; i < INPUTS; i++)
        if (w.in_copy[i].row && p.share == 0)
            copy_in(g, rows, w.in_copy[i], g.in[i], units(g, INPUT_SIZE[i]), r, start, end);
    for (int i = 0; i < OUTPUTS; i++) {
        const Stream here = sequence(g.out[i], start, r);
        p.out[i] = w.out_copy[i].row ? w.out_copy[i] : Stream{here.at, here.row * g.groups, here.block};
    }
    meet(p);
    ahead(p);
    long at = g.reverse ? w.rows : 0;
    for (long s = 0; s < end - start; s++) {
        const long t = g.reverse ? end - 1 - s : start + s;
        if (g.reverse) at -= rows.of(r, t);
        run_step(g, rows, w, r, t, at);
        if (!g.reverse) at += rows.of(r, t);
    }
    behind(p);
    for (int i = 0; i < OUTPUTS; i++)
        if (w.out_copy[i].row && p.share == 0)
            copy_out(g, rows, p.out[i], g.out[i], units(g, OUTPUT_SIZE[i]), r, start, end);
}

// A block by a block of a sum of outer products, over the rows of all groups.
static void add_outer(const Given& g, const Work* work, Term* terms, int o, long left, long right,
                      bool add) {
    const int a = OUTER_LEFT[o], b = OUTER_RIGHT[o];
    const long n = g.size[CHUNK_SIZE[a]] - left * BLOCK, columns = g.size[CHUNK_SIZE[b]];
    for (long r = 0; r < g.groups; r++) {
        const Work& w = work[r * g.sharing];
        const Stream &x = w.chunk.chunk[a], &y = w.chunk.chunk[b];
        terms[r] = {place(x, left, 0), 0, place(y, right, 0), w.rows, 0, 0};
    }
    REAL* const out = g.matrix_sum[OUTER_SUM[o]] + left * BLOCK * columns + right * BLOCK;
    kernels->multiply_transposed({out, columns, columns - right * BLOCK}, least(BLOCK, n), terms,
                                 (int)g.groups, add);
}

// A thread has some blocks of rows of all sums, each with all its terms; so many at a time that the
// left sides stay in a cache.
static void add_outers(const Given& g, const Work* work, Term* terms, bool first, long me, long team) {
    const auto blocks_in = [&](int o) { return blocks_of(g.size[CHUNK_SIZE[OUTER_LEFT[o]]]); };
    const auto begins = [&](int o) { return o == 0 || OUTER_SUM[o] != OUTER_SUM[o - 1]; };
    long blocks = 0, before = 0, rows = 1;
    for (int o = 0; o < OUTERS; o++)
        if (begins(o)) blocks += blocks_in(o);
    for (long r = 0; r < g.groups; r++) rows += work[r * g.sharing].rows;
    const long wide = 1 + CACHED / 2 / (rows * BLOCK);
    for (int o = 0; o < OUTERS; o++) {
        if (o > 0 && begins(o)) before += blocks_in(o - 1);
        const long from = most(0, blocks * me / team - before);
        const long to = least(blocks_in(o), blocks * (me + 1) / team - before);
        for (long start = from; start < to; start += wide)
            for (long right = 0; right < blocks_of(g.size[CHUNK_SIZE[OUTER_RIGHT[o]]]); right++)
                for (long left = start; left < least(start + wide, to); left++)
                    add_outer(g, work, terms, o, left, right, !first || !begins(o));
    }
}

// Gives a thread its share of the units.
static void share_out(const Given& g, Part& p, int share, int sharing) {
    p.share = share;
    p.sharing = sharing;
    for (int i = 0; i < SIZES; i++) {
        const long blocks = blocks_of(g.size[i]);
        p.size[i] = g.size[i];
        p.first[i] = blocks * share / sharing;
        p.last[i] = blocks * (share + 1) / sharing;
    }
}

// Whether matrices are packed: not for so few rows that reading them is all there is to do, where
// each has rows of its own, side by side.
static bool packs(const Given& g) {
    bool by_rows = true;
    for (int i = 0; i < PANELS; i++) by_rows &= g.by_column[i] == 1 && g.by_row[i] != 0;
    return !by_rows || g.steps * g.batch > 4;
}

// What a call has memory for.
struct Room {
    Barrier* barriers;  // of each group, and that of all threads
    Rows rows;
    Term* terms;  // (threads, groups)
    REAL* vectors[VECTORS + 1];
    REAL* panels[PANELS + 1];  // null where matrices are used as they are given
    Work* work;   // (groups, sharing)
};

// What one thread of a team does in a call.
static void run_thread(const Given& g, const Room& m, long steps, long me, long team) {
    for (int i = 0; i < PANELS && packs(g); i++) {
        const long n = g.size[PANEL_ROWS[i]], k = g.size[PANEL_COLUMNS[i]];
        for (long b = me; b < blocks_of(n); b += team)
            kernels->pack(m.panels[i], g.matrix[i], g.by_row[i], g.by_column[i], n, k, b);
    }
    // A team may be smaller than asked for, and then nobody may wait for who is not there.
    const bool whole = team == g.groups * g.sharing;
    const long sharing = whole ? g.sharing : 1, share = me % sharing, next = team / sharing;
    const auto each_group = [&](auto each) {
        for (long r = me / sharing; r < g.groups; r += next) each(r, m.work[r * g.sharing + share]);
    };
    each_group([&](long r, Work& w) {
        share_out(g, w.step, (int)share, (int)sharing);
        share_out(g, w.chunk, (int)share, (int)sharing);
        if (share == 0) clear_ends(g, r);
    });
    const auto meet_all = [&] {
        if (team > 1) wait_at(m.barriers + g.groups, (int)team);
    };
    meet_all();
    for (long i = 0; i * steps < g.steps; i++) {
        const long last = (g.steps - 1) / steps, start = (g.reverse ? last - i : i) * steps;
        each_group([&](long r, Work& w) {
            run_chunk(g, m.rows, w, r, start, least(start + steps, g.steps));
        });
        if (!OUTERS) continue;
        meet_all();
        add_outers(g, m.work, m.terms + me * g.groups, i == 0 && !g.add, me, team);
        meet_all();
    }
    each_group([&](long r, Work& w) {
        if (share == 0) leave_states(g, m.rows, w, r, 0, w.n);
    });
}

static void finish(const Given& g, const Rows& rows, const Work* work) {
    for (int i = 0; i < OUTERS && !g.steps && !g.add; i++)
        memset(g.matrix_sum[OUTER_SUM[i]], 0,
               g.size[CHUNK_SIZE[OUTER_LEFT[i]]] * g.size[CHUNK_SIZE[OUTER_RIGHT[i]]] * sizeof(REAL));
    for (long i = g.steps ? rows.counts[0] : 0; i < g.batch; i++)  // sequences of no steps
        for (int s = 0; s < STATES; s++) {
            const long n = g.size[STATE_SIZE[s]], at = (rows.order ? rows.order[i] : i) * n;
            memcpy(g.final[s] + at, g.initial[s] + at, n * sizeof(REAL));
        }
    for (int i = 0; i < TOTALS; i++)
        for (long u = 0; u < units(g, TOTAL_SIZE[i]); u++) {
            REAL sum = g.add ? g.total[i][u] : 0;
            for (long r = 0; r < g.groups; r++) sum += work[r * g.sharing].step.total[i][u];
            g.total[i][u] = sum;
        }
}

static Room room(const Given& g, Arena& arena, long steps) {
    const long threads = g.groups * g.sharing, rows = (g.batch + g.groups - 1) / g.groups;
    Room m;
    m.barriers = arena.take<Barrier>(g.groups + 1);
    m.rows.groups = g.groups;
    m.rows.counts = arena.take<long>(g.steps);
    m.rows.order = g.lengths ? arena.take<long>(g.batch + g.steps + 1) : 0;
    m.terms = arena.take<Term>(threads * g.groups);
    for (int i = 0; i < VECTORS; i++) m.vectors[i] = arena.stream(1, g.size[VECTOR_SIZE[i]]).at;
    for (int i = 0; i < PANELS; i++) {
        const long n = g.size[PANEL_ROWS[i]], k = g.size[PANEL_COLUMNS[i]];
        m.panels[i] = packs(g) ? arena.stream(k, n).at : 0;
    }
    m.work = arena.take<Work>(threads);
    for (long r = 0; r < g.groups; r++) {
        Work w;
        memset(&w, 0, sizeof(w));
        Part& p = w.step;
        for (int i = 0; i < VECTORS; i++) p.vector[i] = m.vectors[i];
        for (int i = 0; i < NUMBERS; i++) p.number[i] = g.number[i];
        for (int i = 0; i < PANELS; i++) {
            const long n = g.size[PANEL_ROWS[i]];
            p.matrix[i] = packs(g) ? Matrix{m.panels[i], n, 0} : Matrix{g.matrix[i], n, g.by_row[i]};
        }
        p.barrier = m.barriers + r;
        lay_out(g, arena, w, rows, rows * steps);
        for (long s = 0; s < g.sharing; s++) {
            w.step.scratch = w.chunk.scratch = arena.take<REAL>(PRODUCTS * SLICE * BLOCK);
            if (arena.memory) m.work[r * g.sharing + s] = w;
        }
    }
    return m;
}

static void begin(const Given& g, Room& m) {
    kernels->announce(g.kept, g.kept_bytes);
    for (int i = 0; i < OUTPUTS; i++)
        kernels->announce(g.out[i].at, g.steps * g.out[i].step * sizeof(REAL));
    memset(m.barriers, 0, (g.groups + 1) * sizeof(Barrier));
    sort_rows(g, m.rows);
    for (int i = 0; i < VECTORS; i++) {
        const long n = g.size[VECTOR_SIZE[i]];
        copy_row(flat(m.vectors[i]), flat(g.vector[i]), n, true);
    }
    for (long r = 0; r < g.groups; r++)
        for (int i = 0; i < TOTALS; i++)
            memset(m.work[r * g.sharing].step.total[i], 0,
                   blocks_of(units(g, TOTAL_SIZE[i])) * BLOCK * sizeof(REAL));
}

static int run_all(const Kernels* all, const int64_t* call) {
    if (all->block != BLOCK) return 2;  // compiled for another kind of processor
    kernels = all;
    const Given g = given({call});
    const long threads = g.groups * g.sharing, steps = chunk_steps(g);
    Arena arena = {0, 0};
    room(g, arena, steps);
    arena.memory = (char*)kernels->take(arena.used);
    if (!arena.memory) return 1;
    arena.used = 0;
    Room m = room(g, arena, steps);
    begin(g, m);
#pragma omp parallel num_threads((int)threads) if (threads > 1)
    run_thread(g, m, steps, omp_get_thread_num(), omp_get_num_threads());
    finish(g, m.rows, m.work);
    kernels->give_back(arena.memory);
    return 0;
}

}  // namespace
