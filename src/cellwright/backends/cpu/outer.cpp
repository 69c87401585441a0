// Sums of outer products over rows: the gradients of matrices. out[l][r] = left[l]^T right[r].

#include <omp.h>

#include "matrix.hpp"

namespace {

constexpr long DEPTH = 32768 / (BLOCK * sizeof(REAL));  // rows at once: a panel fits in L1

struct Columns {
    const REAL* at;
    long stride, n;
};

INLINE long least(long a, long b) { return a < b ? a : b; }

// Some columns of some rows, (depth, wide), zeros beyond column `have`.
static void gather(REAL* to, const REAL* from, long stride, long depth, long have, long wide) {
    for (long k = 0; k < depth; k++, to += wide, from += stride) {
        if (have == wide) memcpy(to, from, wide * sizeof(REAL));
        else for (long i = 0; i < wide; i++) to[i] = i < have ? from[i] : REAL(0);
    }
}

}  // namespace

// `call`: n, lefts, rights; for each of them its address, stride and columns; then the address of
// each out, left by left, (columns of left, columns of right), 0 where it is not wanted.
extern "C" int run(const int64_t* call) {
    const long n = call[0], lefts = call[1], rights = call[2], threads = call[3];
    const Columns* left = (const Columns*)(call + 4);
    const Columns* right = left + lefts;
    const int64_t* outs = (const int64_t*)(right + rights);
    long tiles = 0, panels = 0;
    for (long l = 0; l < lefts; l++) tiles += (left[l].n + TILE - 1) / TILE;
    for (long r = 0; r < rights; r++) panels += (right[r].n + BLOCK - 1) / BLOCK;
    REAL* memory =
        (REAL*)aligned_alloc(64, (panels * DEPTH * BLOCK + threads * DEPTH * 64) * sizeof(REAL));
    if (!memory) return 1;
#pragma omp parallel num_threads((int)threads) if (threads > 1)
    {
        const long me = omp_get_thread_num(), team = omp_get_num_threads();
        REAL* const own = memory + panels * DEPTH * BLOCK + me * DEPTH * 64;
        alignas(64) REAL made[TILE * BLOCK];
        for (long start = 0; start < n; start += DEPTH) {
            const long depth = least(DEPTH, n - start);
            long panel = 0;
            for (long r = 0; r < rights; r++)
                for (long u = 0; u < right[r].n; u += BLOCK, panel++)
                    if (panel % team == me)
                        gather(memory + panel * DEPTH * BLOCK,
                               right[r].at + start * right[r].stride + u, right[r].stride, depth,
                               least(BLOCK, right[r].n - u), BLOCK);
#pragma omp barrier
            long tile = 0;
            for (long l = 0; l < lefts; l++) {
                for (long i = 0; i < left[l].n; i += TILE, tile++) {
                    if (tile * team / tiles != me) continue;
                    const long height = least(TILE, left[l].n - i);
                    gather(own, left[l].at + start * left[l].stride + i, left[l].stride, depth,
                           height, TILE);
                    panel = 0;
                    for (long r = 0; r < rights; r++) {
                        const long wide = right[r].n;
                        REAL* const out = (REAL*)(uintptr_t)outs[l * rights + r];
                        for (long u = 0; u < wide; u += BLOCK, panel++) {
                            if (!out) continue;
                            const Term term = {own, 1, memory + panel * DEPTH * BLOCK, depth};
                            multiply<true>(made, height, &term, 1);
                            const long have = least(BLOCK, wide - u);
                            for (long k = 0; k < height; k++) {
                                REAL* to = out + (i + k) * wide + u;
                                const REAL* from = made + k * BLOCK;
                                if (start == 0) memcpy(to, from, have * sizeof(REAL));
                                else for (long j = 0; j < have; j++) to[j] += from[j];
                            }
                        }
                    }
                }
            }
#pragma omp barrier
        }
    }
    free(memory);
    return 0;
}
