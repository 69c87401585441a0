// How many there are of everything.
constexpr int SIZES = 2;
constexpr int INPUTS = 1;
constexpr int OUTPUTS = 1;
constexpr int PREVIOUS = 0;
constexpr int STATES = 2;
constexpr int BUFFERS = 0;
constexpr int CHUNKS = 5;
constexpr int SCALARS = 0;
constexpr int PARTIALS = 0;
constexpr int TOTALS = 0;
constexpr int VECTORS = 4;
constexpr int NUMBERS = 0;
constexpr int PANELS = 8;
constexpr int MATRIX_SUMS = 0;
constexpr int OUTERS = 0;
constexpr int PRODUCTS = 4;  // of a stage, at the most
constexpr long SLICE = 48;  // rows whose products are made at once
// Sizes, by their place among the sizes of a call; -1 for a scalar.
constexpr int INPUT_SIZE[] = {1, -1};
constexpr int OUTPUT_SIZE[] = {0, -1};
constexpr int STATE_SIZE[] = {0, 0, -1};
constexpr int BUFFER_SIZE[] = {-1};
constexpr int CHUNK_SIZE[] = {1, 0, 0, 0, 0, -1};
constexpr int TOTAL_SIZE[] = {-1};
constexpr int VECTOR_SIZE[] = {0, 0, 0, 0, -1};
constexpr int PANEL_ROWS[] = {0, 0, 0, 0, 0, 0, 0, 0, -1};
constexpr int PANEL_COLUMNS[] = {1, 1, 1, 1, 0, 0, 0, 0, -1};
// Whether a stream is read or written for many steps at once, not only in the loop.
constexpr int INPUT_OF_CHUNK[] = {1, -1};
constexpr int OUTPUT_OF_CHUNK[] = {0, -1};
// The state that goes out as it is read.
constexpr int PREVIOUS_STATE[] = {-1};
// The input that a chunk is a copy of, or -1.
constexpr int COPY_OF[] = {0, -1, -1, -1, -1, -1};
// Outer products: left and right are chunks; the sum that each is a term of.
constexpr int OUTER_LEFT[] = {-1};
constexpr int OUTER_RIGHT[] = {-1};
constexpr int OUTER_SUM[] = {-1};

#include "engine.hpp"

namespace {

void ahead_0(Part& p) {
    make<true>(p, 0, p.chunk[1], {
        {p.chunk[0], p.matrix[0], p.size[1]},
    });
    make<true>(p, 0, p.chunk[2], {
        {p.chunk[0], p.matrix[1], p.size[1]},
    });
    make<true>(p, 0, p.chunk[3], {
        {p.chunk[0], p.matrix[2], p.size[1]},
    });
    make<true>(p, 0, p.chunk[4], {
        {p.chunk[0], p.matrix[3], p.size[1]},
    });
}

// A step, stage 0: elementwise work on some rows of a block of units.
template <bool Full>
void loop_0_units_0(Part& p, long block, long from, long rows) {
    const long wide = Full ? BLOCK : width(p, 0, block);
    for (long j = 0; j < wide; j += LANES) {
        const long at = block * BLOCK + j;
        const I mask = lanes(p.size[0] - at);
        const REAL* const made0 = p.scratch + 0 * SLICE * BLOCK + j;
        const REAL* const made1 = p.scratch + 1 * SLICE * BLOCK + j;
        const REAL* const made2 = p.scratch + 2 * SLICE * BLOCK + j;
        const REAL* const made3 = p.scratch + 3 * SLICE * BLOCK + j;
        const V fixed0 = load(p.vector[0] + at);
        REAL* const chunk1 = place(p.chunk[1], block, from) + j;
        const V fixed1 = load(p.vector[1] + at);
        REAL* const chunk2 = place(p.chunk[2], block, from) + j;
        REAL* const old1 = place(p.old[1], block, from) + j;
        const V fixed2 = load(p.vector[2] + at);
        REAL* const chunk3 = place(p.chunk[3], block, from) + j;
        const V fixed3 = load(p.vector[3] + at);
        REAL* const chunk4 = place(p.chunk[4], block, from) + j;
        REAL* const now1 = place(p.now[1], block, from) + j;
        REAL* const out0 = place(p.out[0], block, from) + j;
        const long out0_row = p.out[0].row;
        REAL* const now0 = place(p.now[0], block, from) + j;
        for (long r = 0; r < rows; r++) {
            const V t4 = load(made0 + r * BLOCK);
            const V t5 = load(made1 + r * BLOCK);
            const V t6 = load(made2 + r * BLOCK);
            const V t7 = load(made3 + r * BLOCK);
            const V chunk1_r = load(chunk1 + r * BLOCK);
            const V t8 = fixed0 + chunk1_r;
            const V t9 = t8 + t4;
            // o = sigmoid(W_o x + R_o h + b_o)
            const V t10 = sigmoid(t9);
            const V chunk2_r = load(chunk2 + r * BLOCK);
            const V t11 = fixed1 + chunk2_r;
            const V t12 = t11 + t5;
            // f = sigmoid(W_f x + R_f h + b_f)
            const V t13 = sigmoid(t12);
            const V old1_r = load(old1 + r * BLOCK);
            const V t14 = t13 * old1_r;
            const V chunk3_r = load(chunk3 + r * BLOCK);
            const V t15 = fixed2 + chunk3_r;
            const V t16 = t15 + t6;
            // i = sigmoid(W_i x + R_i h + b_i)
            const V t17 = sigmoid(t16);
            const V chunk4_r = load(chunk4 + r * BLOCK);
            const V t18 = fixed3 + chunk4_r;
            const V t19 = t18 + t7;
            // z = tanh(W_z x + R_z h + b_z)
            const V t20 = hyperbolic_tangent(t19);
            const V t21 = t17 * t20;
            // c' = f * c + i * z
            const V t22 = t14 + t21;
            store(now1 + r * BLOCK, t22);
            const V t23 = hyperbolic_tangent(t22);
            // h' = o * tanh(c')
            const V t24 = t10 * t23;
            write<Full>(out0 + r * out0_row, t24, mask);
            store(now0 + r * BLOCK, t24);
        }
    }
}

void loop_0(Part& p) {
    each_block(p, 0, [&](long block, long from, long rows) {
        {
            const Term terms[] = {
                term(p.old[0], from, p.matrix[4], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 0 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        {
            const Term terms[] = {
                term(p.old[0], from, p.matrix[5], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 1 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        {
            const Term terms[] = {
                term(p.old[0], from, p.matrix[6], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 2 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        {
            const Term terms[] = {
                term(p.old[0], from, p.matrix[7], block, p.size[0]),
            };
            kernels->multiply({p.scratch + 3 * SLICE * BLOCK, BLOCK, width(p, 0, block)}, rows, terms, 1, false);
        }
        if (is_full(p, 0, block)) loop_0_units_0<true>(p, block, from, rows);
        else loop_0_units_0<false>(p, block, from, rows);
    });
}

void ahead(Part& p) {
    ahead_0(p);
    meet(p);
}

void loop(Part& p) {
    loop_0(p);
    meet(p);
}

void behind(Part& p) {
}

}  // namespace

extern "C" int run(const void* kernels, const int64_t* call) {
    return run_all((const Kernels*)kernels, call);
}
