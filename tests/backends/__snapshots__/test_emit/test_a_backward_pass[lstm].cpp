// How many there are of everything.
constexpr int SIZES = 2;
constexpr int INPUTS = 9;
constexpr int OUTPUTS = 1;
constexpr int PREVIOUS = 0;
constexpr int STATES = 2;
constexpr int BUFFERS = 0;
constexpr int CHUNKS = 6;
constexpr int SCALARS = 0;
constexpr int PARTIALS = 0;
constexpr int TOTALS = 4;
constexpr int VECTORS = 0;
constexpr int NUMBERS = 0;
constexpr int PANELS = 8;
constexpr int MATRIX_SUMS = 8;
constexpr int OUTERS = 8;
constexpr int PRODUCTS = 1;  // of a stage, at the most
constexpr long SLICE = 48;  // rows whose products are made at once
// Sizes, by their place among the sizes of a call; -1 for a scalar.
constexpr int INPUT_SIZE[] = {0, 1, 0, 0, 0, 0, 0, 0, 0, -1};
constexpr int OUTPUT_SIZE[] = {1, -1};
constexpr int STATE_SIZE[] = {0, 0, -1};
constexpr int BUFFER_SIZE[] = {-1};
constexpr int CHUNK_SIZE[] = {0, 0, 0, 0, 1, 0, -1};
constexpr int TOTAL_SIZE[] = {0, 0, 0, 0, -1};
constexpr int VECTOR_SIZE[] = {-1};
constexpr int PANEL_ROWS[] = {0, 0, 0, 0, 1, 1, 1, 1, -1};
constexpr int PANEL_COLUMNS[] = {0, 0, 0, 0, 0, 0, 0, 0, -1};
// Whether a stream is read or written for many steps at once, not only in the loop.
constexpr int INPUT_OF_CHUNK[] = {0, 1, 0, 0, 0, 0, 0, 0, 1, -1};
constexpr int OUTPUT_OF_CHUNK[] = {1, -1};
// The state that goes out as it is read.
constexpr int PREVIOUS_STATE[] = {-1};
// The input that a chunk is a copy of, or -1.
constexpr int COPY_OF[] = {-1, -1, -1, -1, 1, 8, -1};
// Outer products: left and right are chunks; the sum that each is a term of.
constexpr int OUTER_LEFT[] = {3, 3, 2, 2, 1, 1, 0, 0, -1};
constexpr int OUTER_RIGHT[] = {4, 5, 4, 5, 4, 5, 4, 5, -1};
constexpr int OUTER_SUM[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};

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
        REAL* const in3 = place(p.in[3], block, from) + j;
        const long in3_row = p.in[3].row;
        REAL* const chunk0 = place(p.chunk[0], block, from) + j;
        V total3 = {};
        REAL* const old1 = place(p.old[1], block, from) + j;
        REAL* const in4 = place(p.in[4], block, from) + j;
        const long in4_row = p.in[4].row;
        REAL* const in5 = place(p.in[5], block, from) + j;
        const long in5_row = p.in[5].row;
        REAL* const chunk1 = place(p.chunk[1], block, from) + j;
        V total2 = {};
        REAL* const in6 = place(p.in[6], block, from) + j;
        const long in6_row = p.in[6].row;
        REAL* const in7 = place(p.in[7], block, from) + j;
        const long in7_row = p.in[7].row;
        REAL* const chunk2 = place(p.chunk[2], block, from) + j;
        V total1 = {};
        REAL* const chunk3 = place(p.chunk[3], block, from) + j;
        V total0 = {};
        REAL* const now1 = place(p.now[1], block, from) + j;
        for (long r = 0; r < rows; r++) {
            const V in0_r = read<Full>(in0 + r * in0_row, mask);
            const V old0_r = load(old0 + r * BLOCK);
            // d_h_new = g_h_new + d_h
            const V t0 = in0_r + old0_r;
            const V in2_r = read<Full>(in2 + r * in2_row, mask);
            const V t1 = t0 * in2_r;
            const V in3_r = read<Full>(in3 + r * in3_row, mask);
            const V t2 = splat(REAL(1.0)) - in3_r;
            const V t3 = in3_r * t2;
            // delta_o = d_h_new * tanh_c_new * (o * (1 - o))
            const V t4 = t1 * t3;
            store(chunk0 + r * BLOCK, t4);
            total3 += t4;
            const V t5 = t0 * in3_r;
            const V t6 = in2_r * in2_r;
            const V t7 = splat(REAL(1.0)) - t6;
            const V t8 = t5 * t7;
            const V old1_r = load(old1 + r * BLOCK);
            // d_c_new = d_c + d_h_new * o * (1 - tanh_c_new * tanh_c_new)
            const V t9 = old1_r + t8;
            const V in4_r = read<Full>(in4 + r * in4_row, mask);
            const V t10 = t9 * in4_r;
            const V in5_r = read<Full>(in5 + r * in5_row, mask);
            const V t11 = in5_r * in5_r;
            const V t12 = splat(REAL(1.0)) - t11;
            // delta_z = d_c_new * i * (1 - z * z)
            const V t13 = t10 * t12;
            store(chunk1 + r * BLOCK, t13);
            total2 += t13;
            const V in6_r = read<Full>(in6 + r * in6_row, mask);
            const V t14 = t9 * in6_r;
            const V in7_r = read<Full>(in7 + r * in7_row, mask);
            const V t15 = splat(REAL(1.0)) - in7_r;
            const V t16 = in7_r * t15;
            // delta_f = d_c_new * c_old * (f * (1 - f))
            const V t17 = t14 * t16;
            store(chunk2 + r * BLOCK, t17);
            total1 += t17;
            const V t18 = t9 * in5_r;
            const V t19 = splat(REAL(1.0)) - in4_r;
            const V t20 = in4_r * t19;
            // delta_i = d_c_new * z * (i * (1 - i))
            const V t21 = t18 * t20;
            store(chunk3 + r * BLOCK, t21);
            total0 += t21;
            // d_c' = d_c_new * f
            const V t22 = t9 * in7_r;
            store(now1 + r * BLOCK, t22);
        }
        store(p.total[3] + at, load(p.total[3] + at) + total3);
        store(p.total[2] + at, load(p.total[2] + at) + total2);
        store(p.total[1] + at, load(p.total[1] + at) + total1);
        store(p.total[0] + at, load(p.total[0] + at) + total0);
    }
}

void loop_0(Part& p) {
    each_block(p, 0, [&](long block, long from, long rows) {
        if (is_full(p, 0, block)) loop_0_units_0<true>(p, block, from, rows);
        else loop_0_units_0<false>(p, block, from, rows);
    });
}

void loop_1(Part& p) {
    // d_h' = R_o^T delta_o + R_z^T delta_z + R_f^T delta_f + R_i^T delta_i
    make<true>(p, 0, p.now[0], {
        {p.chunk[0], p.matrix[0], p.size[0]},
        {p.chunk[1], p.matrix[1], p.size[0]},
        {p.chunk[2], p.matrix[2], p.size[0]},
        {p.chunk[3], p.matrix[3], p.size[0]},
    });
}

void behind_0(Part& p) {
    // d_x = W_o^T delta_o + W_z^T delta_z + W_f^T delta_f + W_i^T delta_i
    make<false>(p, 1, p.out[0], {
        {p.chunk[0], p.matrix[4], p.size[0]},
        {p.chunk[1], p.matrix[5], p.size[0]},
        {p.chunk[2], p.matrix[6], p.size[0]},
        {p.chunk[3], p.matrix[7], p.size[0]},
    });
}

void ahead(Part& p) {
}

void loop(Part& p) {
    loop_0(p);
    meet(p);
    loop_1(p);
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
