// How many there are of everything.
constexpr int SIZES = 2;
constexpr int INPUTS = 6;
constexpr int OUTPUTS = 1;
constexpr int PREVIOUS = 0;
constexpr int STATES = 1;
constexpr int BUFFERS = 2;
constexpr int CHUNKS = 6;
constexpr int SCALARS = 0;
constexpr int PARTIALS = 0;
constexpr int TOTALS = 3;
constexpr int VECTORS = 0;
constexpr int NUMBERS = 0;
constexpr int PANELS = 6;
constexpr int MATRIX_SUMS = 6;
constexpr int OUTERS = 6;
constexpr int PRODUCTS = 1;  // of a stage, at the most
constexpr long SLICE = 48;  // rows whose products are made at once
// Sizes, by their place among the sizes of a call; -1 for a scalar.
constexpr int INPUT_SIZE[] = {0, 1, 0, 0, 0, 0, -1};
constexpr int OUTPUT_SIZE[] = {1, -1};
constexpr int STATE_SIZE[] = {0, -1};
constexpr int BUFFER_SIZE[] = {0, 0, -1};
constexpr int CHUNK_SIZE[] = {0, 0, 0, 0, 1, 0, -1};
constexpr int TOTAL_SIZE[] = {0, 0, 0, -1};
constexpr int VECTOR_SIZE[] = {-1};
constexpr int PANEL_ROWS[] = {0, 0, 0, 1, 1, 1, -1};
constexpr int PANEL_COLUMNS[] = {0, 0, 0, 0, 0, 0, -1};
// Whether a stream is read or written for many steps at once, not only in the loop.
constexpr int INPUT_OF_CHUNK[] = {0, 1, 0, 0, 1, 0, -1};
constexpr int OUTPUT_OF_CHUNK[] = {1, -1};
// The state that goes out as it is read.
constexpr int PREVIOUS_STATE[] = {-1};
// The input that a chunk is a copy of, or -1.
constexpr int COPY_OF[] = {4, -1, -1, -1, 1, -1, -1};
// Outer products: left and right are chunks; the sum that each is a term of.
constexpr int OUTER_LEFT[] = {3, 3, 2, 2, 1, 1, -1};
constexpr int OUTER_RIGHT[] = {4, 0, 4, 0, 4, 5, -1};
constexpr int OUTER_SUM[] = {0, 1, 2, 3, 4, 5, -1};

#include "engine.hpp"

namespace {

// A step, stage 0: elementwise work on some rows of a block of units.
template <bool Full>
void loop_0_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        REAL* const in0 = place(p.in[0], block, from) + j;
        const long in0_row = p.in[0].row;
        REAL* const old0 = place(p.old[0], block, from) + j;
        REAL* const in2 = place(p.in[2], block, from) + j;
        const long in2_row = p.in[2].row;
        REAL* const buffer0 = place(p.buffer[0], block, from) + j;
        REAL* const in3 = place(p.in[3], block, from) + j;
        const long in3_row = p.in[3].row;
        REAL* const chunk1 = place(p.chunk[1], block, from) + j;
        V total2 = {};
        REAL* const chunk0 = place(p.chunk[0], block, from) + j;
        REAL* const chunk2 = place(p.chunk[2], block, from) + j;
        V total1 = {};
        REAL* const in5 = place(p.in[5], block, from) + j;
        const long in5_row = p.in[5].row;
        REAL* const chunk5 = place(p.chunk[5], block, from) + j;
        for (long r = 0; r < rows; r++) {
            const V in0_r = read<Full>(in0 + r * in0_row, mask);
            const V old0_r = load(old0 + r * BLOCK);
            // d_h_new = g_h_new + d_h
            const V t0 = in0_r + old0_r;
            const V in2_r = read<Full>(in2 + r * in2_row, mask);
            const V t1 = t0 * in2_r;
            store(buffer0 + r * BLOCK, t1);
            // t = 1 - z
            const V t2 = splat(REAL(1.0)) - in2_r;
            const V t3 = t0 * t2;
            const V in3_r = read<Full>(in3 + r * in3_row, mask);
            const V t4 = in3_r * in3_r;
            const V t5 = splat(REAL(1.0)) - t4;
            // delta_n = d_h_new * t * (1 - n * n)
            const V t6 = t3 * t5;
            store(chunk1 + r * BLOCK, t6);
            total2 += t6;
            const V t7 = t0 * in3_r;
            const V t8 = -t7;
            const V chunk0_r = load(chunk0 + r * BLOCK);
            const V t9 = t0 * chunk0_r;
            const V t10 = t8 + t9;
            const V t11 = in2_r * t2;
            // delta_z = (-(d_h_new * n) + d_h_new * h_old) * (z * t)
            const V t12 = t10 * t11;
            store(chunk2 + r * BLOCK, t12);
            total1 += t12;
            const V in5_r = read<Full>(in5 + r * in5_row, mask);
            const V t13 = in5_r * chunk0_r;
            store(chunk5 + r * BLOCK, t13);
        }
        store(p.total[2] + at, load(p.total[2] + at) + total2);
        store(p.total[1] + at, load(p.total[1] + at) + total1);
    }
}

void loop_0(Part& p) {
    each_block(p, 0, [&](long block, long from, long rows) {
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
        REAL* const in5 = place(p.in[5], block, from) + j;
        const long in5_row = p.in[5].row;
        REAL* const buffer0 = place(p.buffer[0], block, from) + j;
        REAL* const buffer1 = place(p.buffer[1], block, from) + j;
        REAL* const chunk0 = place(p.chunk[0], block, from) + j;
        REAL* const chunk3 = place(p.chunk[3], block, from) + j;
        V total0 = {};
        for (long r = 0; r < rows; r++) {
            // t_2 = R_n^T delta_n
            const V t14 = load(made0 + r * BLOCK);
            const V in5_r = read<Full>(in5 + r * in5_row, mask);
            const V t15 = t14 * in5_r;
            const V buffer0_r = load(buffer0 + r * BLOCK);
            const V t16 = buffer0_r + t15;
            store(buffer1 + r * BLOCK, t16);
            const V chunk0_r = load(chunk0 + r * BLOCK);
            const V t17 = t14 * chunk0_r;
            const V t18 = splat(REAL(1.0)) - in5_r;
            const V t19 = in5_r * t18;
            // delta_r = t_2 * h_old * (r * (1 - r))
            const V t20 = t17 * t19;
            store(chunk3 + r * BLOCK, t20);
            total0 += t20;
        }
        store(p.total[0] + at, load(p.total[0] + at) + total0);
    }
}

void loop_1(Part& p) {
    each_block(p, 0, [&](long block, long from, long rows) {
        // t_2 = R_n^T delta_n
        {
            const Term terms[] = {
                term(p.chunk[1], from, p.matrix[0], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 0 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        if (is_full(p, 0, block)) loop_1_units_0<true>(p, block, from, rows);
        else loop_1_units_0<false>(p, block, from, rows);
    });
}

// A step, stage 2: elementwise work on some rows of a block of units.
template <bool Full>
void loop_2_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        const REAL* const made0 = p.scratch + 0 * SLICE * BLOCK + j;
        REAL* const buffer1 = place(p.buffer[1], block, from) + j;
        REAL* const now0 = place(p.now[0], block, from) + j;
        for (long r = 0; r < rows; r++) {
            const V t21 = load(made0 + r * BLOCK);
            const V buffer1_r = load(buffer1 + r * BLOCK);
            // d_h' = d_h_new * z + t_2 * r + R_z^T delta_z + R_r^T delta_r
            const V t22 = buffer1_r + t21;
            store(now0 + r * BLOCK, t22);
        }
    }
}

void loop_2(Part& p) {
    each_block(p, 0, [&](long block, long from, long rows) {
        {
            const Term terms[] = {
                term(p.chunk[2], from, p.matrix[1], block, p.size[0]),
                term(p.chunk[3], from, p.matrix[2], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 0 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 2, false);
        }
        if (is_full(p, 0, block)) loop_2_units_0<true>(p, block, from, rows);
        else loop_2_units_0<false>(p, block, from, rows);
    });
}

void behind_0(Part& p) {
    // d_x = W_n^T delta_n + W_z^T delta_z + W_r^T delta_r
    make<false>(p, 1, p.out[0], {
        {p.chunk[1], p.matrix[3], p.size[0]},
        {p.chunk[2], p.matrix[4], p.size[0]},
        {p.chunk[3], p.matrix[5], p.size[0]},
    });
}

void ahead(Part& p) {
}

void loop(Part& p) {
    loop_0(p);
    meet(p);
    loop_1(p);
    meet(p);
    loop_2(p);
    meet(p);
}

void behind(Part& p) {
    behind_0(p);
    meet(p);
}

}  // namespace

extern "C" int run(const void* kernels, const int64_t* call) {
    return run_all((const Kernels*)kernels, call);
}
