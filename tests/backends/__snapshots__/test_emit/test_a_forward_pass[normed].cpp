// How many there are of everything.
constexpr int SIZES = 2;
constexpr int INPUTS = 1;
constexpr int OUTPUTS = 1;
constexpr int PREVIOUS = 0;
constexpr int STATES = 1;
constexpr int BUFFERS = 1;
constexpr int CHUNKS = 4;
constexpr int SCALARS = 6;
constexpr int PARTIALS = 2;
constexpr int TOTALS = 0;
constexpr int VECTORS = 1;
constexpr int NUMBERS = 1;
constexpr int PANELS = 4;
constexpr int MATRIX_SUMS = 0;
constexpr int OUTERS = 0;
constexpr int PRODUCTS = 2;  // of a stage, at the most
constexpr long SLICE = 48;  // rows whose products are made at once
// Sizes, by their place among the sizes of a call; -1 for a scalar.
constexpr int INPUT_SIZE[] = {1, -1};
constexpr int OUTPUT_SIZE[] = {0, -1};
constexpr int STATE_SIZE[] = {0, -1};
constexpr int BUFFER_SIZE[] = {0, -1};
constexpr int CHUNK_SIZE[] = {1, 0, 0, 0, -1};
constexpr int TOTAL_SIZE[] = {-1};
constexpr int VECTOR_SIZE[] = {0, -1};
constexpr int PANEL_ROWS[] = {0, 0, 0, 0, -1};
constexpr int PANEL_COLUMNS[] = {1, 1, 0, 0, -1};
// Whether a stream is read or written for many steps at once, not only in the loop.
constexpr int INPUT_OF_CHUNK[] = {1, -1};
constexpr int OUTPUT_OF_CHUNK[] = {0, -1};
// The state that goes out as it is read.
constexpr int PREVIOUS_STATE[] = {-1};
// The input that a chunk is a copy of, or -1.
constexpr int COPY_OF[] = {0, -1, -1, -1, -1};
// Outer products: left and right are chunks; the sum that each is a term of.
constexpr int OUTER_LEFT[] = {-1};
constexpr int OUTER_RIGHT[] = {-1};
constexpr int OUTER_SUM[] = {-1};

#include "engine.hpp"

namespace {

// Ahead of the loop, stage 0: elementwise work on some rows of a block of units.
template <bool Full>
void ahead_0_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        const REAL* const made0 = p.scratch + 0 * SLICE * BLOCK + j;
        REAL* const chunk1 = place(p.chunk[1], block, from) + j;
        REAL* const partial0 = p.partial[0] + from * LANES;
        for (long r = 0; r < rows; r++) {
            const V t1 = load(made0 + r * BLOCK);
            store(chunk1 + r * BLOCK, t1);
            store(partial0 + r * LANES, load(partial0 + r * LANES) + within<Full>(t1, mask));
        }
    }
}

void ahead_0(Part& p) {
    memset(p.partial[0], 0, p.n * LANES * sizeof(REAL));
    make<true>(p, 0, p.chunk[3], {
        {p.chunk[0], p.matrix[0], p.size[1]},
    });
    each_block(p, 0, [&](long block, long from, long rows) {
        {
            const Term terms[] = {
                term(p.chunk[0], from, p.matrix[1], block, p.size[1]),
            };
            kernels->multiply({p.scratch + 0 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        if (is_full(p, 0, block)) ahead_0_units_0<true>(p, block, from, rows);
        else ahead_0_units_0<false>(p, block, from, rows);
    });
}

// Ahead of the loop, stage 1: elementwise work on some rows of a block of units.
template <bool Full>
void ahead_1_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        REAL* const chunk1 = place(p.chunk[1], block, from) + j;
        const REAL* const scalar1 = p.scalar[1] + from;
        REAL* const chunk2 = place(p.chunk[2], block, from) + j;
        REAL* const partial1 = p.partial[1] + from * LANES;
        for (long r = 0; r < rows; r++) {
            const V chunk1_r = load(chunk1 + r * BLOCK);
            const V a1 = splat(scalar1[r]);
            const V t4 = chunk1_r - a1;
            store(chunk2 + r * BLOCK, t4);
            const V t5 = t4 * t4;
            store(partial1 + r * LANES, load(partial1 + r * LANES) + within<Full>(t5, mask));
        }
    }
}

// Ahead of the loop, stage 1: what is one number a row.
void ahead_1_scalars(Part& p) {
    for (long r = 0; r < p.n; r++) {
        const V t2 = splat(added_up(load(p.partial[0] + r * LANES)));
        p.scalar[0][r] = t2[0];
        const V t3 = t2 / splat(REAL(p.size[0]));
        p.scalar[1][r] = t3[0];
    }
}

void ahead_1(Part& p) {
    ahead_1_scalars(p);
    memset(p.partial[1], 0, p.n * LANES * sizeof(REAL));
    each_block(p, 0, [&](long block, long from, long rows) {
        if (is_full(p, 0, block)) ahead_1_units_0<true>(p, block, from, rows);
        else ahead_1_units_0<false>(p, block, from, rows);
    });
}

// Ahead of the loop, stage 2: what is one number a row.
void ahead_2_scalars(Part& p) {
    for (long r = 0; r < p.n; r++) {
        const V t6 = splat(added_up(load(p.partial[1] + r * LANES)));
        p.scalar[2][r] = t6[0];
    }
}

void ahead_2(Part& p) {
    ahead_2_scalars(p);
}

// A step, stage 0: elementwise work on some rows of a block of units.
template <bool Full>
void loop_0_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        const REAL* const made0 = p.scratch + 0 * SLICE * BLOCK + j;
        REAL* const chunk2 = place(p.chunk[2], block, from) + j;
        const REAL* const scalar5 = p.scalar[5] + from;
        const V fixed0 = load(p.vector[0] + at);
        REAL* const old0 = place(p.old[0], block, from) + j;
        REAL* const buffer0 = place(p.buffer[0], block, from) + j;
        for (long r = 0; r < rows; r++) {
            const V t7 = load(made0 + r * BLOCK);
            const V chunk2_r = load(chunk2 + r * BLOCK);
            const V a5 = splat(scalar5[r]);
            const V t11 = chunk2_r / a5;
            const V t12 = fixed0 * t11;
            const V t13 = t12 + t7;
            // r = sigmoid(gain_r_1 * standardize(W_r x) + R_r h)
            const V t14 = sigmoid(t13);
            const V old0_r = load(old0 + r * BLOCK);
            const V t15 = t14 * old0_r;
            store(buffer0 + r * BLOCK, t15);
        }
    }
}

// A step, stage 0: what is one number a row.
void loop_0_scalars(Part& p) {
    const REAL* const scalar2 = p.scalar[2];
    for (long r = 0; r < p.n; r++) {
        const V a2 = splat(scalar2[r]);
        const V t8 = a2 / splat(REAL(p.size[0]));
        p.scalar[3][r] = t8[0];
        const V t9 = t8 + splat(REAL(1e-05));
        p.scalar[4][r] = t9[0];
        const V t10 = square_root(t9);
        p.scalar[5][r] = t10[0];
    }
}

void loop_0(Part& p) {
    loop_0_scalars(p);
    each_block(p, 0, [&](long block, long from, long rows) {
        {
            const Term terms[] = {
                term(p.old[0], from, p.matrix[2], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 0 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        if (is_full(p, 0, block)) loop_0_units_0<true>(p, block, from, rows);
        else loop_0_units_0<false>(p, block, from, rows);
    });
}

// A step, stage 1: elementwise work on some rows of a block of units.
template <bool Full>
void loop_1_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        const REAL* const made0 = p.scratch + 0 * SLICE * BLOCK + j;
        REAL* const chunk3 = place(p.chunk[3], block, from) + j;
        const V number0 = splat(p.number[0]);
        REAL* const old0 = place(p.old[0], block, from) + j;
        REAL* const out0 = place(p.out[0], block, from) + j;
        const long out0_row = p.out[0].row;
        REAL* const now0 = place(p.now[0], block, from) + j;
        for (long r = 0; r < rows; r++) {
            const V t16 = load(made0 + r * BLOCK);
            const V chunk3_r = load(chunk3 + r * BLOCK);
            const V t17 = chunk3_r + t16;
            const V t18 = hyperbolic_tangent(t17);
            const V t19 = number0 * t18;
            const V old0_r = load(old0 + r * BLOCK);
            // h' = h + alpha * tanh(W x + R (r * h))
            const V t20 = old0_r + t19;
            write<Full>(out0 + r * out0_row, t20, mask);
            store(now0 + r * BLOCK, t20);
        }
    }
}

void loop_1(Part& p) {
    each_block(p, 0, [&](long block, long from, long rows) {
        {
            const Term terms[] = {
                term(p.buffer[0], from, p.matrix[3], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 0 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        if (is_full(p, 0, block)) loop_1_units_0<true>(p, block, from, rows);
        else loop_1_units_0<false>(p, block, from, rows);
    });
}

void ahead(Part& p) {
    ahead_0(p);
    meet(p);
    ahead_1(p);
    meet(p);
    ahead_2(p);
    meet(p);
}

void loop(Part& p) {
    loop_0(p);
    meet(p);
    loop_1(p);
    meet(p);
}

void behind(Part& p) {
}

}  // namespace

extern "C" int run(const void* kernels, const int64_t* call) {
    return run_all((const Kernels*)kernels, call);
}
