// SAM's prompt encoder and mask decoder for the browser: WebAssembly SIMD, one thread, no libc.
//
// The algebra and the names are those of mobilesam/model/fast_decoder.py. Three things differ, as
// one prompt at a time is decoded on the same photo many times:
//
// - What depends on the photo and mask_input alone is computed once, by `prepare_image`. In the
//   first layer these are the projections of the image, so its attention costs almost nothing.
// - Heads are the last dimension: a projection has its values in the order (width, head). The 8
//   heads of a score fill two vectors, so attention needs no transposition and no horizontal sum.
// - All four masks are computed, so that one run serves both values of multimask_output.
//
// tensors.h is written by tensors.py, which defines the order and the layout of the weights. The
// weights of linear layers lie in panels of 8 outputs, as `multiply` reads them: [panel][input][8].

#include <stdbool.h>
#include <stdint.h>
#include <wasm_simd128.h>

#include "tensors.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define ALIGNED __attribute__((aligned(64)))
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum {
  LANES = 4,                          // float32 values of a vector
  PANEL = 2 * LANES,                  // columns that `multiply` computes at a time
  TILE = 4,                           // rows that it computes at a time
  IMAGE_TOKENS = SIDE * SIDE,
  PROMPT_TOKENS = MAX_POINTS + 1,     // one is the padding point
  TOKENS = (OWN_TOKENS + PROMPT_TOKENS + TILE - 1) / TILE * TILE,
  MASK_SIDE = 4 * SIDE,               // of low_res_logits and mask_input
  MASK_PIXELS = MASK_SIDE * MASK_SIDE,
  BLOCK = 64,                         // image tokens whose rows stay in the fastest caches
  // A stride of 1024 bytes would put the rows of a column into the same few sets of the cache.
  IMAGE_STRIDE = CHANNELS + 16,
};

_Static_assert(HEADS == PANEL, "the heads of a score are one panel");

static const float TRANSFORMER_EPSILON = 1e-5f;  // of torch's LayerNorm
static const float LAYER_NORM_2D_EPSILON = 1e-6f;

// Weights ---------------------------------------------------------------------------------------

static ALIGNED float weights[WEIGHT_VALUES];

typedef struct {
  const float *weight;  // [outputs / PANEL][inputs][PANEL]
  const float *bias;
  int inputs, outputs;
} Linear;

typedef struct {
  const float *weight, *bias;
  int width;
  float epsilon;
} Norm;

typedef struct {
  Linear q, k, v, out;
} Attention;

typedef struct {
  Attention self_attention, to_image, from_tokens;
  Norm norms[4];
  Linear fc1, fc2;
} Layer;

#define TENSOR(name) (weights + name##_at)
#define LINEAR(name) \
  {TENSOR(name##_weight), TENSOR(name##_bias), name##_inputs, name##_outputs}
#define NORM(name, epsilon) {TENSOR(name##_weight), TENSOR(name##_bias), name##_width, epsilon}
#define LAYER_NORM(name) NORM(name, TRANSFORMER_EPSILON)
#define ATTENTION(name) {LINEAR(name##_q), LINEAR(name##_k), LINEAR(name##_v), LINEAR(name##_out)}
#define LAYER(name)                                                                      \
  {ATTENTION(name##_self_attention), ATTENTION(name##_to_image), ATTENTION(name##_from_tokens), \
   {LAYER_NORM(name##_norms_0), LAYER_NORM(name##_norms_1), LAYER_NORM(name##_norms_2),  \
    LAYER_NORM(name##_norms_3)},                                                         \
   LINEAR(name##_fc1), LINEAR(name##_fc2)}
#define MLP(name) {LINEAR(name##_0), LINEAR(name##_1), LINEAR(name##_2)}

static const Layer layers[] = {LAYER(layers_0), LAYER(layers_1)};
static const Attention final_attention = ATTENTION(final_attention);
static const Norm final_norm = LAYER_NORM(final_norm);
static const Linear upscaling_first = LINEAR(upscaling_first);
static const Linear upscaling_second = LINEAR(upscaling_second);
static const Norm upscaling_norm = NORM(upscaling_norm, LAYER_NORM_2D_EPSILON);
static const Linear hypernetworks[MASKS][3] = {
    MLP(hypernetworks_0), MLP(hypernetworks_1), MLP(hypernetworks_2), MLP(hypernetworks_3)};
static const Linear iou_head[3] = MLP(iou_head);
static const Norm downscaling_norm_1 = NORM(downscaling_norm_1, LAYER_NORM_2D_EPSILON);
static const Norm downscaling_norm_2 = NORM(downscaling_norm_2, LAYER_NORM_2D_EPSILON);
static const Linear downscaling_second = LINEAR(downscaling_second);
static const Linear downscaling_third = LINEAR(downscaling_third);

// What is kept between calls --------------------------------------------------------------------

static ALIGNED float position[IMAGE_TOKENS][CHANNELS];
static ALIGNED float features[IMAGE_TOKENS][CHANNELS];
static ALIGNED float mask_input[MASK_SIDE][MASK_SIDE];

static ALIGNED float prepared[IMAGE_TOKENS][CHANNELS];  // the features and the dense prompt
static ALIGNED float first_keys[IMAGE_TOKENS][INNER];   // projections of the first layer
static ALIGNED float first_values[IMAGE_TOKENS][INNER];
static ALIGNED float first_queries[IMAGE_TOKENS][INNER];

static float point_coords[MAX_POINTS][2];
static int32_t point_labels[MAX_POINTS];

static ALIGNED float low_res_logits[MASKS][MASK_SIDE][MASK_SIDE];
static float iou_predictions[MASKS];

// What one decode works on ----------------------------------------------------------------------

static ALIGNED float image[IMAGE_TOKENS][IMAGE_STRIDE];
static ALIGNED float keys[BLOCK][IMAGE_STRIDE];
static ALIGNED float queries[TOKENS][CHANNELS];     // the IoU token, the mask tokens, the prompt
static ALIGNED float point[TOKENS][CHANNELS];       // the same before the first layer
static ALIGNED float with_point[TOKENS][CHANNELS];  // their sum
static ALIGNED float attended[TOKENS][CHANNELS];
static ALIGNED float projected_q[TOKENS][CHANNELS], projected_k[TOKENS][CHANNELS];
static ALIGNED float projected_v[TOKENS][CHANNELS];
static ALIGNED float hidden[TOKENS][HIDDEN];
static ALIGNED float absorbed[TOKENS][CHANNELS][HEADS];
static ALIGNED float values_out[CHANNELS / PANEL][TOKENS * HEADS][PANEL];
static ALIGNED float token_totals[TOKENS][HEADS];

// Scores of tokens against image tokens. Between decodes it takes what the page hands over.
static ALIGNED union {
  float scores[TOKENS][IMAGE_TOKENS][HEADS];
  uint16_t half[WEIGHT_VALUES];
} shared;
static float (*const scores)[IMAGE_TOKENS][HEADS] = shared.scores;

// Vectors ---------------------------------------------------------------------------------------

typedef v128_t Vector;
#define load wasm_v128_load
#define store wasm_v128_store
#define splat wasm_f32x4_splat
#define add wasm_f32x4_add
#define sub wasm_f32x4_sub
#define mul wasm_f32x4_mul
#define minimum wasm_f32x4_pmin
#define maximum wasm_f32x4_pmax

/** a * b + c. */
static inline Vector multiply_add(Vector a, Vector b, Vector c) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, c);
#else
  return add(mul(a, b), c);
#endif
}

/** Horner's scheme; the coefficient of the highest power comes first. */
static inline Vector polynomial(Vector x, const float *coefficients, int count) {
  Vector sum = splat(coefficients[0]);
#pragma unroll
  for (int i = 1; i < count; i++) {
    sum = multiply_add(sum, x, splat(coefficients[i]));
  }
  return sum;
}

static inline float sum_of(Vector x) {
  Vector pairs = add(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(pairs, 0) + wasm_f32x4_extract_lane(pairs, 1);
}

static inline float square_root(float x) { return __builtin_sqrtf(x); }

/** e^x for x <= 0: 2^n by the exponent's bits, the rest by the polynomial of Cephes' expf. */
static inline Vector exponential(Vector x) {
  static const float COEFFICIENTS[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                       4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  x = maximum(x, splat(-87.f));  // below it the result is not a normal number
  Vector n = wasm_f32x4_nearest(mul(x, splat(1.44269504f)));
  Vector rest = multiply_add(n, splat(-0.693359375f), x);  // ln 2 in two parts
  rest = multiply_add(n, splat(2.12194440e-4f), rest);
  Vector power = polynomial(rest, COEFFICIENTS, COUNT(COEFFICIENTS));
  power = add(multiply_add(power, mul(rest, rest), rest), splat(1.f));
  return wasm_i32x4_add(power, wasm_i32x4_shl(wasm_i32x4_trunc_sat_f32x4(n), 23));
}

/** x / 2 (1 + erf(x / sqrt 2)); erf is Abramowitz and Stegun's 7.1.26, within 1.5e-7. */
static inline Vector gelu(Vector x) {
  static const float COEFFICIENTS[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f,
                                       0.254829592f, 0.f};
  Vector distance = mul(wasm_f32x4_abs(x), splat(0.70710678f));
  Vector t = wasm_f32x4_div(splat(1.f), multiply_add(distance, splat(0.3275911f), splat(1.f)));
  Vector tail = mul(polynomial(t, COEFFICIENTS, COUNT(COEFFICIENTS)),
                    exponential(wasm_f32x4_neg(mul(distance, distance))));
  Vector half_tail = mul(mul(x, splat(0.5f)), tail);
  Vector is_negative = wasm_f32x4_lt(x, splat(0.f));
  return wasm_v128_bitselect(half_tail, sub(x, half_tail), is_negative);
}

/** sin x for any angle that occurs, to double precision's seventh digit. */
static double sine(double x) {
  const double pi = 3.141592653589793;
  x -= __builtin_rint(x / (2 * pi)) * 2 * pi;
  if (x > pi / 2) x = pi - x;
  if (x < -pi / 2) x = -pi - x;
  double square = x * x, term = x, sum = x;
  for (int n = 2; n <= 14; n += 2) {
    term *= -square / (n * (n + 1));
    sum += term;
  }
  return sum;
}

static double cosine(double x) { return sine(x + 3.141592653589793 / 2); }

void *memcpy(void *to, const void *from, unsigned long bytes) {  // the compiler calls it
  uint8_t *target = to;
  const uint8_t *source = from;
  while (bytes--) *target++ = *source++;
  return to;
}

void *memset(void *to, int value, unsigned long bytes) {  // the compiler calls it
  uint8_t *target = to;
  while (bytes--) *target++ = (uint8_t)value;
  return to;
}

static void add_rows(float *sum, const float *a, const float *b, int values) {
  for (int i = 0; i < values; i += LANES) store(sum + i, add(load(a + i), load(b + i)));
}

static void copy(float *to, const float *from, int values) {
  for (int i = 0; i < values; i += LANES) store(to + i, load(from + i));
}

static void relu_rows(float *x, int values) {
  for (int i = 0; i < values; i += LANES) store(x + i, maximum(load(x + i), splat(0.f)));
}

static void gelu_rows(float *x, int values) {
  for (int i = 0; i < values; i += LANES) store(x + i, gelu(load(x + i)));
}

// Matrices --------------------------------------------------------------------------------------

/** A matrix of any order: element (row, column) is at[row * by_row + column * by_column], where
 * `by_panel` is added instead after every PANEL columns. */
typedef struct {
  const float *at;
  int by_row, by_column, by_panel;
} Matrix;

/** A matrix that is written in panels of columns; the panels of rows in order are 8 apart. */
typedef struct {
  float *at;
  int by_row, by_panel;
} Panels;

static Matrix rows_of(const float *at, int stride) { return (Matrix){at, stride, 1, PANEL}; }

static Matrix columns_of(const float *at, int stride) {
  return (Matrix){at, 1, stride, PANEL * stride};
}

static Panels to_rows(float *at, int stride) { return (Panels){at, stride, PANEL}; }

/** TILE rows and PANEL columns of `multiply`. */
static inline void multiply_tile(Matrix a, int inner, const float *panel, const float *start,
                                 int start_by_row, float *out, int out_by_row) {
  Vector sums[TILE][2];
#pragma unroll
  for (int row = 0; row < TILE; row++) {
    sums[row][0] = start ? load(start + row * start_by_row) : splat(0.f);
    sums[row][1] = start ? load(start + row * start_by_row + LANES) : splat(0.f);
  }
  for (int k = 0; k < inner; k += PANEL) {
    const float *column = a.at;
#pragma unroll
    for (int i = 0; i < PANEL; i++) {
      Vector left = load(panel), right = load(panel + LANES);
#pragma unroll
      for (int row = 0; row < TILE; row++) {
        Vector value = wasm_v128_load32_splat(column + row * a.by_row);
        sums[row][0] = multiply_add(value, left, sums[row][0]);
        sums[row][1] = multiply_add(value, right, sums[row][1]);
      }
      column += a.by_column;
      panel += PANEL;
    }
    a.at += a.by_panel;
  }
#pragma unroll
  for (int row = 0; row < TILE; row++) {
    store(out + row * out_by_row, sums[row][0]);
    store(out + row * out_by_row + LANES, sums[row][1]);
  }
}

/** out = start + a b. The rows are a multiple of TILE, inner and columns multiples of PANEL.
 *
 * b lies in panels, [columns / PANEL][inner][PANEL], `b_by_panel` apart. `start` has the strides
 * of `out` or, if it is one row for all, `by_row` 0; without `at` it is zero. */
static void multiply(Matrix a, int rows, int inner, const float *b, int b_by_panel, int columns,
                     Panels start, Panels out) {
  const int together = 4 * TILE;  // rows that stay in the cache while the panels pass
  for (int from = 0; from < rows; from += together) {
    int to = from + together < rows ? from + together : rows;
    for (int panel = 0; panel < columns / PANEL; panel++) {
      for (int row = from; row < to; row += TILE) {
        Matrix tile = a;
        tile.at += row * a.by_row;
        const float *first =
            start.at ? start.at + row * start.by_row + panel * start.by_panel : 0;
        multiply_tile(tile, inner, b + panel * b_by_panel, first, start.by_row,
                      out.at + row * out.by_row + panel * out.by_panel, out.by_row);
      }
    }
  }
}

static int up_to_tile(int rows) { return (rows + TILE - 1) / TILE * TILE; }

static void linear_to(const Linear *layer, const float *x, int stride, int rows, float *out,
                      int out_stride) {
  Panels bias = {(float *)layer->bias, 0, PANEL};
  multiply(rows_of(x, stride), up_to_tile(rows), layer->inputs, layer->weight,
           layer->inputs * PANEL, layer->outputs, bias, to_rows(out, out_stride));
}

/** Rows of layer->inputs values to rows of layer->outputs values. */
static void linear(const Linear *layer, const float *x, int rows, float *out) {
  linear_to(layer, x, layer->inputs, rows, out, layer->outputs);
}

static void layer_norm(const Norm *norm, float *x, int rows, int stride) {
  const int width = norm->width;
  for (int row = 0; row < rows; row++, x += stride) {
    Vector sum = splat(0.f), squares = splat(0.f);
    for (int i = 0; i < width; i += LANES) sum = add(sum, load(x + i));
    Vector mean = splat(sum_of(sum) / width);
    for (int i = 0; i < width; i += LANES) {
      Vector difference = sub(load(x + i), mean);
      squares = multiply_add(difference, difference, squares);
    }
    Vector scale = splat(1.f / square_root(sum_of(squares) / width + norm->epsilon));
    for (int i = 0; i < width; i += LANES) {
      Vector unit = mul(sub(load(x + i), mean), scale);
      store(x + i, multiply_add(unit, load(norm->weight + i), load(norm->bias + i)));
    }
  }
}

// Attention -------------------------------------------------------------------------------------

static void scale_rows(float *x, int values, float factor) {
  for (int i = 0; i < values; i += LANES) store(x + i, mul(load(x + i), splat(factor)));
}

/** The factor of the scores, width^-0.5. */
static float scale_of(const Attention *attention) {
  return 1.f / square_root((float)attention->q.outputs / HEADS);
}

/** scores[token][row][head] = a token's projection times a row's, both (width, HEADS). */
static void score_projected(const float *tokens, int count, const float *rows, int row_count,
                            int inner) {
  for (int row = 0; row < row_count; row++) {
    for (int token = 0; token < count; token++) {
      const float *q = tokens + token * inner, *k = rows + row * inner;
      Vector left = splat(0.f), right = splat(0.f);
      for (int i = 0; i < inner; i += HEADS) {
        left = multiply_add(load(q + i), load(k + i), left);
        right = multiply_add(load(q + i + LANES), load(k + i + LANES), right);
      }
      store(scores[token][row], left);
      store(scores[token][row] + LANES, right);
    }
  }
}

/** Softmax over the rows, for every token and head, but for the division by `token_totals`. */
static void exponentiate_scores(int count, int row_count) {
  for (int token = 0; token < count; token++) {
    for (int half = 0; half < HEADS; half += LANES) {
      Vector highest = load(scores[token][0] + half), total = splat(0.f);
      for (int row = 1; row < row_count; row++) {
        highest = maximum(highest, load(scores[token][row] + half));
      }
      for (int row = 0; row < row_count; row++) {
        Vector weight = exponential(sub(load(scores[token][row] + half), highest));
        store(scores[token][row] + half, weight);
        total = add(total, weight);
      }
      store(token_totals[token] + half, total);
    }
  }
}

/** sums[token] = the rows, (width, HEADS), weighted by the token's scores. */
static void sum_projected(float *sums, int count, const float *rows, int row_count, int inner) {
  const int together = 4 * HEADS;  // of the inner values, so that their sums stay in registers
  for (int i = 0; i < count * inner; i += LANES) store(sums + i, splat(0.f));
  for (int from = 0; from < row_count; from += BLOCK) {
    int to = from + BLOCK < row_count ? from + BLOCK : row_count;
    for (int token = 0; token < count; token++) {
      for (int part = 0; part < inner; part += together) {
        float *out = sums + token * inner + part;
        Vector sum[8];
#pragma unroll
        for (int i = 0; i < 8; i++) sum[i] = load(out + i * LANES);
        for (int row = from; row < to; row++) {
          const float *value = rows + row * inner + part;
          Vector weight[2] = {load(scores[token][row]), load(scores[token][row] + LANES)};
#pragma unroll
          for (int i = 0; i < 8; i++) {
            sum[i] = multiply_add(weight[i % 2], load(value + i * LANES), sum[i]);
          }
        }
#pragma unroll
        for (int i = 0; i < 8; i++) store(out + i * LANES, sum[i]);
      }
    }
  }
}

/** Divides sums of (width, HEADS) by the totals of their scores. */
static void divide_by_totals(float *sums, int count, int inner) {
  for (int token = 0; token < count; token++) {
    for (int i = 0; i < inner; i += LANES) {
      float *sum = sums + token * inner + i;
      store(sum, wasm_f32x4_div(load(sum), load(token_totals[token] + i % HEADS)));
    }
  }
}

/** attended = the attention of projected_q to rows of projected keys and values. */
static void attend_projected(const Attention *attention, int count, const float *k, const float *v,
                             int row_count) {
  const int inner = attention->q.outputs;
  scale_rows(*projected_q, count * inner, scale_of(attention));
  score_projected(*projected_q, count, k, row_count, inner);
  exponentiate_scores(count, row_count);
  sum_projected(*projected_q, count, v, row_count, inner);
  divide_by_totals(*projected_q, count, inner);
  linear(&attention->out, *projected_q, count, *attended);
}

/** attended = attention between the tokens. */
static void attend_between_tokens(const Attention *attention, const float *qk, const float *v,
                                  int count) {
  linear(&attention->q, qk, count, *projected_q);
  linear(&attention->k, qk, count, *projected_k);
  linear(&attention->v, v, count, *projected_v);
  attend_projected(attention, count, *projected_k, *projected_v, count);
}

/** absorbed[token][channel][head]: scores of a projected token against rows that are not
 * projected. The layer is the projection of those rows. */
static void absorb(const float *projected, int count, const Linear *layer) {
  for (int token = 0; token < count; token++) {
    for (int channel = 0; channel < CHANNELS; channel++) {
      Vector left = splat(0.f), right = splat(0.f);
      for (int i = 0; i < INNER; i += HEADS) {
        const float *weight = layer->weight + i * CHANNELS + channel * PANEL;
        const float *value = projected + token * INNER + i;
        left = multiply_add(load(value), load(weight), left);
        right = multiply_add(load(value + LANES), load(weight + LANES), right);
      }
      store(absorbed[token][channel], left);
      store(absorbed[token][channel] + LANES, right);
    }
  }
}

static void set_keys(int from) {
  for (int row = 0; row < BLOCK; row++) {
    add_rows(keys[row], image[from + row], position[from + row], CHANNELS);
  }
}

/** scores = the keys of the image, which are not projected, times `absorbed`, plus `bias`. */
static void score_absorbed(int count, float *bias) {
  for (int from = 0; from < IMAGE_TOKENS; from += BLOCK) {
    set_keys(from);
    multiply(rows_of(*keys, IMAGE_STRIDE), BLOCK, CHANNELS, **absorbed, CHANNELS * HEADS,
             count * HEADS, (Panels){bias, 0, HEADS},
             (Panels){scores[0][from], HEADS, IMAGE_TOKENS * HEADS});
  }
}

/** sums[token][channel][head]: the image weighted by the scores, in place of `absorbed`. */
static void sum_absorbed(int count) {
  Panels sums = {**absorbed, HEADS, CHANNELS * HEADS};
  Panels start = {0};
  for (int from = 0; from < IMAGE_TOKENS; from += BLOCK, start = sums) {
    multiply(columns_of(image[from], IMAGE_STRIDE), CHANNELS, BLOCK, scores[0][from],
             IMAGE_TOKENS * HEADS, count * HEADS, start, sums);
  }
}

/** The projection of `sum_absorbed` by the values' layer: out is (count, width, HEADS). */
static void project_sums(const Linear *layer, int count, float *out) {
  for (int token = 0; token < count; token++) {
    for (int i = 0; i < INNER; i += HEADS) {
      Vector left = splat(0.f), right = splat(0.f);
      for (int channel = 0; channel < CHANNELS; channel++) {
        const float *weight = layer->weight + i * CHANNELS + channel * PANEL;
        const float *sum = absorbed[token][channel];
        left = multiply_add(load(sum), load(weight), left);
        right = multiply_add(load(sum + LANES), load(weight + LANES), right);
      }
      store(out + token * INNER + i, left);
      store(out + token * INNER + i + LANES, right);
    }
  }
  divide_by_totals(out, count, INNER);
  for (int token = 0; token < count; token++) {
    add_rows(out + token * INNER, out + token * INNER, layer->bias, INNER);
  }
}

/** attended = the attention of the first tokens to the image. */
static void attend_to_image(const Attention *attention, int count, bool is_first) {
  linear(&attention->q, *with_point, count, *projected_q);
  if (is_first) {
    attend_projected(attention, count, *first_keys, *first_values, IMAGE_TOKENS);
    return;
  }
  scale_rows(*projected_q, count * INNER, scale_of(attention));
  absorb(*projected_q, count, &attention->k);
  score_absorbed(count, 0);
  exponentiate_scores(count, IMAGE_TOKENS);
  sum_absorbed(count);
  project_sums(&attention->v, count, *projected_q);
  linear(&attention->out, *projected_q, count, *attended);
}

/** values_out[panel][token, head][8]: the part of the output that a score of 1 stands for. */
static void project_values_out(const Attention *attention, int count) {
  for (int panel = 0; panel < CHANNELS / PANEL; panel++) {
    const float *weight = attention->out.weight + panel * INNER * PANEL;
    const float *bias = attention->out.bias + panel * PANEL;
    for (int token = 0; token < count; token++) {
      for (int head = 0; head < HEADS; head++) {
        // The weights of each head sum to one, so each head gets an equal part of the bias.
        Vector left = mul(load(bias), splat(1.f / HEADS));
        Vector right = mul(load(bias + LANES), splat(1.f / HEADS));
        for (int i = head; i < INNER; i += HEADS) {
          Vector value = splat((*projected_v)[token * INNER + i]);
          left = multiply_add(value, load(weight + i * PANEL), left);
          right = multiply_add(value, load(weight + i * PANEL + LANES), right);
        }
        float *out = values_out[panel][token * HEADS + head];
        store(out, left);
        store(out + LANES, right);
      }
    }
  }
}

/** Softmax of the scores over the tokens, for some image tokens. */
static void softmax_over_tokens(int count, int from, int to) {
  for (int row = from; row < to; row++) {
    for (int half = 0; half < HEADS; half += LANES) {
      Vector highest = load(scores[0][row] + half), total = splat(0.f);
      for (int token = 1; token < count; token++) {
        highest = maximum(highest, load(scores[token][row] + half));
      }
      for (int token = 0; token < count; token++) {
        Vector weight = exponential(sub(load(scores[token][row] + half), highest));
        store(scores[token][row] + half, weight);
        total = add(total, weight);
      }
      Vector inverse = wasm_f32x4_div(splat(1.f), total);
      for (int token = 0; token < count; token++) {
        float *weight = scores[token][row] + half;
        store(weight, mul(load(weight), inverse));
      }
    }
  }
}

/** Scores of the image, as queries, against the tokens, as keys. */
static void score_from_tokens(const Attention *attention, int count, bool is_first) {
  linear(&attention->k, *with_point, count, *projected_k);
  scale_rows(*projected_k, count * INNER, scale_of(attention));
  if (is_first) {
    score_projected(*projected_k, count, *first_queries, IMAGE_TOKENS, INNER);
    return;
  }
  static ALIGNED float bias[TOKENS][HEADS];
  for (int token = 0; token < count; token++) {
    Vector left = splat(0.f), right = splat(0.f);
    for (int i = 0; i < INNER; i += HEADS) {
      const float *value = *projected_k + token * INNER + i, *b = attention->q.bias + i;
      left = multiply_add(load(value), load(b), left);
      right = multiply_add(load(value + LANES), load(b + LANES), right);
    }
    store(bias[token], left);
    store(bias[token] + LANES, right);
  }
  absorb(*projected_k, count, &attention->q);
  score_absorbed(count, *bias);
}

/** image = the image plus its attention to the tokens, normalised. */
static void attend_from_tokens(const Layer *layer, int count, bool is_first) {
  const Attention *attention = &layer->from_tokens;
  score_from_tokens(attention, count, is_first);
  linear(&attention->v, *queries, count, *projected_v);
  project_values_out(attention, count);
  for (int from = 0; from < IMAGE_TOKENS; from += BLOCK) {
    softmax_over_tokens(count, from, from + BLOCK);
    Matrix weight = {scores[0][from], HEADS, 1, IMAGE_TOKENS * HEADS};
    Panels start = is_first ? to_rows(prepared[from], CHANNELS) : to_rows(image[from], IMAGE_STRIDE);
    multiply(weight, BLOCK, count * HEADS, **values_out, TOKENS * HEADS * PANEL, CHANNELS, start,
             to_rows(image[from], IMAGE_STRIDE));
    layer_norm(&layer->norms[3], image[from], BLOCK, IMAGE_STRIDE);
  }
}

/** segment_anything's TwoWayAttentionBlock. */
static void run_layer(const Layer *layer, int count, bool is_first) {
  const int values = up_to_tile(count) * CHANNELS;
  if (is_first) {
    attend_between_tokens(&layer->self_attention, *queries, *queries, count);
    copy(*queries, *attended, values);
  } else {
    add_rows(*with_point, *queries, *point, values);
    attend_between_tokens(&layer->self_attention, *with_point, *queries, count);
    add_rows(*queries, *queries, *attended, values);
  }
  layer_norm(&layer->norms[0], *queries, count, CHANNELS);

  add_rows(*with_point, *queries, *point, values);
  attend_to_image(&layer->to_image, count, is_first);
  add_rows(*queries, *queries, *attended, values);
  layer_norm(&layer->norms[1], *queries, count, CHANNELS);

  linear(&layer->fc1, *queries, count, *hidden);
  relu_rows(*hidden, count * HIDDEN);
  linear(&layer->fc2, *hidden, count, *attended);
  add_rows(*queries, *queries, *attended, values);
  layer_norm(&layer->norms[2], *queries, count, CHANNELS);

  add_rows(*with_point, *queries, *point, values);
  attend_from_tokens(layer, count, is_first);
}

// Heads -----------------------------------------------------------------------------------------

/** Three layers on TILE rows of tokens: attended = the result for all of them. */
static void run_mlp(const Linear mlp[3], const float *tokens) {
  linear(&mlp[0], tokens, TILE, *projected_q);
  relu_rows(*projected_q, TILE * mlp[0].outputs);
  linear(&mlp[1], *projected_q, TILE, *projected_k);
  relu_rows(*projected_k, TILE * mlp[1].outputs);
  linear(&mlp[2], *projected_k, TILE, *attended);
}

static void predict_ious(void) {
  run_mlp(iou_head, queries[0]);
  for (int mask = 0; mask < MASKS; mask++) iou_predictions[mask] = attended[0][mask];
}

/** hyper[channel] has the weights of the four masks. */
static void run_hypernetworks(float hyper[MASK_CHANNELS][MASKS]) {
  for (int mask = 0; mask < MASKS; mask++) {
    run_mlp(hypernetworks[mask], queries[1]);
    for (int channel = 0; channel < MASK_CHANNELS; channel++) {
      hyper[channel][mask] = (*attended)[mask * MASK_CHANNELS + channel];
    }
  }
}

/** The logits of the 16 pixels of an image token, in the order (dy, dx, dy, dx). */
static void write_logits(int token, const float *pixels, float hyper[MASK_CHANNELS][MASKS]) {
  for (int pixel = 0; pixel < 16; pixel++, pixels += MASK_CHANNELS) {
    Vector logits = splat(0.f);
    for (int channel = 0; channel < MASK_CHANNELS; channel++) {
      logits = multiply_add(splat(pixels[channel]), load(hyper[channel]), logits);
    }
    int y = token / SIDE * 4 + (pixel >> 3 & 1) * 2 + (pixel >> 1 & 1);
    int x = token % SIDE * 4 + (pixel >> 2 & 1) * 2 + (pixel & 1);
    low_res_logits[0][y][x] = wasm_f32x4_extract_lane(logits, 0);
    low_res_logits[1][y][x] = wasm_f32x4_extract_lane(logits, 1);
    low_res_logits[2][y][x] = wasm_f32x4_extract_lane(logits, 2);
    low_res_logits[3][y][x] = wasm_f32x4_extract_lane(logits, 3);
  }
}

/** The transposed convolutions as matrix products, and their product with the hypernetworks. */
static void upscale_image(void) {
  enum { TOGETHER = 16 };
  static ALIGNED float hyper[MASK_CHANNELS][MASKS];
  static ALIGNED float pixels_2x[TOGETHER * 4][upscaling_norm_width];
  static ALIGNED float pixels_4x[TOGETHER][16 * MASK_CHANNELS];
  run_hypernetworks(hyper);
  for (int from = 0; from < IMAGE_TOKENS; from += TOGETHER) {
    linear_to(&upscaling_first, image[from], IMAGE_STRIDE, TOGETHER, *pixels_2x, CHANNELS);
    layer_norm(&upscaling_norm, *pixels_2x, TOGETHER * 4, upscaling_norm_width);
    gelu_rows(*pixels_2x, TOGETHER * CHANNELS);
    linear(&upscaling_second, *pixels_2x, TOGETHER * 4, *pixels_4x);
    gelu_rows(*pixels_4x, TOGETHER * 16 * MASK_CHANNELS);
    for (int token = 0; token < TOGETHER; token++) {
      write_logits(from + token, pixels_4x[token], hyper);
    }
  }
}

// Prompt encoder --------------------------------------------------------------------------------

/** The random frequencies, in units of the image's side; float16 alone is too coarse for them. */
static double frequency(int axis, int i) {
  int at = axis * (CHANNELS / 2) + i;
  return (double)TENSOR(gaussian_matrix)[at] + TENSOR(gaussian_matrix_rest)[at];
}

/** The phase of a coordinate, 0 to 1. */
static double phase(double coordinate, int axis, int i) {
  return 2 * 3.141592653589793 * (2 * coordinate - 1) * frequency(axis, i);
}

static void encode_point(double x, double y, float *out) {
  for (int i = 0; i < CHANNELS / 2; i++) {
    double angle = phase(x, 0, i) + phase(y, 1, i);
    out[i] = (float)sine(angle);
    out[i + CHANNELS / 2] = (float)cosine(angle);
  }
}

/** The positional encoding of the image, from those of its rows and columns. */
static void encode_positions(void) {
  static float sines[2][SIDE][CHANNELS / 2], cosines[2][SIDE][CHANNELS / 2];
  for (int axis = 0; axis < 2; axis++) {
    for (int at = 0; at < SIDE; at++) {
      for (int i = 0; i < CHANNELS / 2; i++) {
        double angle = phase((at + 0.5) / SIDE, axis, i);
        sines[axis][at][i] = (float)sine(angle);
        cosines[axis][at][i] = (float)cosine(angle);
      }
    }
  }
  for (int token = 0; token < IMAGE_TOKENS; token++) {
    const float *sin_x = sines[0][token % SIDE], *cos_x = cosines[0][token % SIDE];
    const float *sin_y = sines[1][token / SIDE], *cos_y = cosines[1][token / SIDE];
    for (int i = 0; i < CHANNELS / 2; i++) {
      position[token][i] = sin_x[i] * cos_y[i] + cos_x[i] * sin_y[i];
      position[token][i + CHANNELS / 2] = cos_x[i] * cos_y[i] - sin_x[i] * sin_y[i];
    }
  }
}

/** Labels are 0, 1, and 2 and 3 for the corners of a box; -1 is the padding point. */
static void embed_point(int label, const float *xy, float *out) {
  const float *kind = TENSOR(point_embeddings) + (label + 1) * CHANNELS;
  if (label == -1) {
    copy(out, kind, CHANNELS);
    return;
  }
  encode_point((xy[0] + 0.5) / INPUT_SIDE, (xy[1] + 0.5) / INPUT_SIDE, out);
  add_rows(out, out, kind, CHANNELS);
}

/** queries = the decoder's own tokens and those of the prompt; returns their number. */
static int embed_prompt(int points) {
  int count = OWN_TOKENS;
  bool has_box = false;
  copy(*queries, TENSOR(own_tokens), OWN_TOKENS * CHANNELS);
  for (int i = 0; i < points; i++) {
    embed_point(point_labels[i], point_coords[i], queries[count++]);
    has_box |= point_labels[i] >= 2;
  }
  if (!has_box) embed_point(-1, 0, queries[count++]);
  for (int row = count; row < up_to_tile(count); row++) {
    for (int i = 0; i < CHANNELS; i++) queries[row][i] = 0.f;
  }
  copy(*point, *queries, up_to_tile(count) * CHANNELS);
  return count;
}

/** The first convolution of mask_input, of 2 x 2 pixels to 4 channels, at one place. */
static void downscale_first(int y, int x, float *out) {
  const float *weight = TENSOR(downscaling_first_weight);
  Vector sum = load(TENSOR(downscaling_first_bias));
  for (int i = 0; i < 4; i++) {
    Vector value = splat(mask_input[2 * y + i / 2][2 * x + i % 2]);
    sum = multiply_add(value, load(weight + i * LANES), sum);
  }
  store(out, sum);
}

/** prepared = the dense embedding of mask_input. */
static void embed_mask_input(void) {
  static ALIGNED float pixels_2x[SIDE * 4][4], pixels[SIDE][16];
  for (int y = 0; y < SIDE; y++) {
    for (int i = 0; i < SIDE * 4; i++) {
      downscale_first(2 * y + i % 4 / 2, i / 4 * 2 + i % 2, pixels_2x[i]);
    }
    layer_norm(&downscaling_norm_1, *pixels_2x, SIDE * 4, 4);
    gelu_rows(*pixels_2x, SIDE * 16);
    linear(&downscaling_second, *pixels_2x, SIDE, *pixels);
    layer_norm(&downscaling_norm_2, *pixels, SIDE, 16);
    gelu_rows(*pixels, SIDE * 16);
    linear(&downscaling_third, *pixels, SIDE, prepared[y * SIDE]);
  }
}

// What the page calls ---------------------------------------------------------------------------

/** Converts float16 to float32; false if a value is infinite or not a number. */
static bool read_half(float *out, int values) {
  Vector invalid = splat(0.f);
  for (int i = 0; i < values; i += LANES) {
    Vector bits = wasm_u32x4_load16x4(shared.half + i);
    Vector magnitude = wasm_v128_and(bits, wasm_i32x4_splat(0x7fff));
    Vector sign = wasm_i32x4_shl(wasm_v128_xor(bits, magnitude), 16);
    // The exponent's bias differs by 112; multiplication also handles subnormal numbers.
    Vector value = mul(wasm_i32x4_shl(magnitude, 13), splat(0x1p112f));
    store(out + i, wasm_v128_or(value, sign));
    invalid = wasm_v128_or(invalid, wasm_i32x4_ge(magnitude, wasm_i32x4_splat(0x7c00)));
  }
  return !wasm_v128_any_true(invalid);
}

EXPORT(weight_values) int weight_values(void) { return WEIGHT_VALUES; }
EXPORT(embedding_values) int embedding_values(void) { return IMAGE_TOKENS * CHANNELS; }
EXPORT(max_points) int max_points(void) { return MAX_POINTS; }
EXPORT(mask_side) int mask_side(void) { return MASK_SIDE; }
EXPORT(mask_count) int mask_count(void) { return MASKS; }
EXPORT(input) uint16_t *input(void) { return shared.half; }
EXPORT(coords) float *coords(void) { return *point_coords; }
EXPORT(labels) int32_t *labels(void) { return point_labels; }
EXPORT(mask) float *mask(void) { return *mask_input; }
EXPORT(logits) float *logits(void) { return **low_res_logits; }
EXPORT(ious) float *ious(void) { return iou_predictions; }

/** Takes weights from `input`; false if they are not finite. */
EXPORT(load_weights) bool load_weights(void) {
  bool is_valid = read_half(weights, WEIGHT_VALUES);
  if (is_valid) encode_positions();
  return is_valid;
}

/** Takes an embedding from `input`; false if it is not finite. */
EXPORT(load_photo) bool load_photo(void) { return read_half(*features, IMAGE_TOKENS * CHANNELS); }

/** Computes what all decodes with this photo and mask_input share. */
EXPORT(prepare_image) void prepare_image(bool has_mask_input) {
  const Layer *first = &layers[0];
  if (has_mask_input) embed_mask_input();
  for (int token = 0; token < IMAGE_TOKENS; token++) {
    const float *dense = has_mask_input ? prepared[token] : TENSOR(no_mask_embedding);
    add_rows(prepared[token], features[token], dense, CHANNELS);
  }
  for (int from = 0; from < IMAGE_TOKENS; from += BLOCK) {
    add_rows(*keys, prepared[from], position[from], BLOCK * CHANNELS);
    linear(&first->to_image.k, *keys, BLOCK, first_keys[from]);
    linear(&first->to_image.v, prepared[from], BLOCK, first_values[from]);
    linear(&first->from_tokens.q, *keys, BLOCK, first_queries[from]);
  }
}

/** Decodes the prompt in `coords` and `labels` to `logits` and `ious`. */
EXPORT(decode) void decode(int points) {
  int count = embed_prompt(points);
  run_layer(&layers[0], count, true);
  run_layer(&layers[1], count, false);
  const int values = up_to_tile(OWN_TOKENS) * CHANNELS;
  add_rows(*with_point, *queries, *point, values);
  attend_to_image(&final_attention, OWN_TOKENS, false);
  add_rows(*queries, *queries, *attended, values);
  layer_norm(&final_norm, *queries, OWN_TOKENS, CHANNELS);
  predict_ious();
  upscale_image();
}
