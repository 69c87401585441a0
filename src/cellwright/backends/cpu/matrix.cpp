// Sums of products, by one micro-kernel that keeps a tile of the result in registers; and memory.

#include "matrix.hpp"

#ifdef __linux__
#include <sys/mman.h>
#endif

#ifdef __SANITIZE_ADDRESS__
extern "C" void __asan_unpoison_memory_region(const volatile void*, size_t);
#endif

namespace {

// One column of `a`, whose M rows are ROW apart, by one row of a panel.
template <int M, int W, long ROW>
INLINE void add_product(V (&sum)[M][W], const REAL* a, const REAL* b) {
    V row[W];
#pragma GCC unroll 2
    for (int w = 0; w < W; w++) row[w] = load(b + w * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
        const V x = splat(a[i * ROW]);
#pragma GCC unroll 2
        for (int w = 0; w < W; w++) sum[i][w] += x * row[w];
    }
}

// M rows of a result, from row `first` of `terms` on: the sum of a @ panel, or where `Transposed` of
// a^T @ panel, the units of `a` being the rows of the result. Where `Add`, on top of what is there.
// K columns at a time have sums of their own: few rows alone would wait for one another. `Far`, for a
// panel that comes from afar and is soon done with, asks for it a page ahead. A row has W vectors: two,
// or one in a block that is half empty.
template <int M, int K, bool Transposed, bool Far, int W>
static void tile(REAL* to, long stride, const Term* terms, int count, long first, bool add) {
    constexpr int MOST = M < 4 ? 8 : 4, AT_ONCE = BLOCK < MOST ? BLOCK : MOST;
    constexpr long ROW = Transposed ? 1 : BLOCK, COLUMN = Transposed ? BLOCK : 1;
    V sum[K][M][W] = {};
    if (add) {  // there by the time it is read
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) __builtin_prefetch(to + i * stride, 1);
    }
    for (int t = 0; t < count; t++) {
        const long further = Transposed ? BLOCK * BLOCK : terms[t].block;
        const REAL* a = terms[t].a + first * ROW;
        const REAL* b = terms[t].panel;
        long left = terms[t].k;
        for (; left >= BLOCK; left -= BLOCK, a += further, b += BLOCK * BLOCK) {
#pragma GCC unroll 1
            for (int k = 0; k < BLOCK; k += AT_ONCE) {
#pragma GCC unroll 8
                for (int j = 0; j < AT_ONCE; j++) {
                    const REAL* const at = b + (k + j) * BLOCK;
                    if (Far) __builtin_prefetch(at + 4096 / sizeof(REAL));
                    add_product<M, W, ROW>(sum[j % K], a + (k + j) * COLUMN, at);
                }
            }
        }
#pragma GCC unroll 1
        for (long k = 0; k < left; k++) add_product<M, W, ROW>(sum[0], a + k * COLUMN, b + k * BLOCK);
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 2
        for (int w = 0; w < W; w++) {
#pragma GCC unroll 8
            for (int j = 1; j < K; j++) sum[0][i][w] += sum[j][i][w];
            REAL* const at = to + i * stride + w * LANES;
            if (add) sum[0][i][w] += load(at);
            store(at, sum[0][i][w]);
        }
    }
}

// By height; the first has no rows.
typedef void Tile(REAL* to, long stride, const Term* terms, int count, long first, bool add);

template <bool Transposed, bool Far, int W> struct Tiles {
    static constexpr Tile* of_height[] = {
        0,
        tile<1, 4, Transposed, Far, W>,
        tile<2, 2, Transposed, Far, W>,
        tile<3, 2, Transposed, Far, W>,
        tile<4, 1, Transposed, Far, W>,
        tile<5, 1, Transposed, Far, W>,
        tile<6, 1, Transposed, Far, W>,
#if TILE > 6
        tile<7, 1, Transposed, Far, W>,
        tile<8, 1, Transposed, Far, W>,
        tile<9, 1, Transposed, Far, W>,
        tile<10, 1, Transposed, Far, W>,
        tile<11, 1, Transposed, Far, W>,
        tile<12, 1, Transposed, Far, W>,
#endif
    };
};

// The first units of a row, put there or added to what is there.
static void put_part(REAL* to, const REAL* from, long wide, bool add) {
    const I edge = lanes(wide % LANES);
    for (; wide >= LANES; wide -= LANES, to += LANES, from += LANES)
        store(to, load(from) + (add ? load(to) : V{}));
    if (wide) write<false>(to, load(from) + (add ? read<false>(to, edge) : V{}), edge);
}

// Units of one row of a result, from `first` on, by matrices that are not packed.
template <int UNITS>
static void dots(REAL* to, const Term* terms, int count, long row, long first, bool add) {
    V sum[UNITS] = {};
    for (int t = 0; t < count; t++) {
        const REAL* a = terms[t].a + row * BLOCK;
        const REAL* w = terms[t].panel + first * terms[t].by_row;
        for (long left = terms[t].k; left > 0; left -= BLOCK, a += terms[t].block, w += BLOCK)
            for (long j = 0; j < least(left, BLOCK); j += LANES) {
                const I mask = lanes(left - j);
                const bool whole = left - j >= LANES;
                const V x = whole ? load(a + j) : read<false>(a + j, mask);
#pragma GCC unroll 8
                for (int u = 0; u < UNITS; u++) {
                    const REAL* const at = w + u * terms[t].by_row + j;
                    sum[u] += x * (whole ? load(at) : read<false>(at, mask));
                }
            }
    }
#pragma GCC unroll 8
    for (int u = 0; u < UNITS; u++) to[first + u] = added_up(sum[u]) + (add ? to[first + u] : 0);
}

// Zero beyond the last unit, as with a panel.
static void unpacked(Result to, long n, const Term* terms, int count, bool add) {
    const long units = least(to.wide, terms[0].n);
    for (long row = 0; row < n; row++) {
        REAL* const at = to.at + row * to.stride;
        long u = 0;
        for (; u + 8 <= units; u += 8) dots<8>(at, terms, count, row, u, add);
        for (; u < units; u++) dots<1>(at, terms, count, row, u, add);
        for (; u < to.wide; u++) at[u] = 0;
    }
}

template <bool Transposed>
static void products(Result to, long n, const Term* terms, int count, bool add) {
    if (!Transposed && terms[0].by_row) return unpacked(to, n, terms, count, add);
    alignas(64) REAL whole[TILE * BLOCK];
    const bool far = !Transposed && n <= 3 * TILE && terms[0].k >= 256;
    Tile* const* const of_height = to.wide <= LANES ? Tiles<Transposed, false, 1>::of_height
                                   : far            ? Tiles<Transposed, !Transposed, 2>::of_height
                                                    : Tiles<Transposed, false, 2>::of_height;
    for (long left = (n + TILE - 1) / TILE, row = 0; left > 0; left--) {
        const long height = (n - row + left - 1) / left;  // tiles of nearly the same height
        Tile* const tile = of_height[height];
        REAL* const at = to.at + row * to.stride;
        if (to.wide >= BLOCK || to.wide == LANES) {
            tile(at, to.stride, terms, count, row, add);
        } else {
            tile(whole, BLOCK, terms, count, row, false);
            for (long i = 0; i < height; i++)
                put_part(at + i * to.stride, whole + i * BLOCK, to.wide, add);
        }
        row += height;
    }
}

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

// New memory comes page by page, and each is cleared first, so what calls work in stays for the next
// one, as long as it is not too much, and what is large comes in large pages.

constexpr size_t KEPT = 16 << 20, HEAD = 64, PAGE = 2 << 20;

static void* spare;  // its first bytes say how much it is

static void announce(void* memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t from = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
    const uintptr_t to = ((uintptr_t)memory + bytes) / PAGE * PAGE;
    if (from < to) madvise((void*)from, to - from, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

static void* take(size_t bytes) {
    char* memory = (char*)__atomic_exchange_n(&spare, (void*)0, __ATOMIC_ACQ_REL);
    if (!memory || *(size_t*)memory < bytes) {
        free(memory);
        memory = (char*)aligned_alloc(HEAD, HEAD + (bytes + HEAD - 1) / HEAD * HEAD);
        if (!memory) return 0;
        announce(memory, HEAD + bytes);
        *(size_t*)memory = bytes;
    }
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(memory + HEAD, *(size_t*)memory);
#endif
#ifdef POISON
    memset(memory + HEAD, 0xff, *(size_t*)memory);  // NaN everywhere
#endif
    return memory + HEAD;
}

static void give_back(void* memory) {
    void* const whole = (char*)memory - HEAD;
    if (*(size_t*)whole > KEPT) free(whole);
    else free(__atomic_exchange_n(&spare, whole, __ATOMIC_ACQ_REL));
}

}  // namespace

// Gives back what stays for the next call.
extern "C" void forget() { free(__atomic_exchange_n(&spare, (void*)0, __ATOMIC_ACQ_REL)); }

extern "C" const Kernels kernels = {BLOCK, products<false>, products<true>, pack,
                                    take,  give_back,       announce};
