// SAM's prompt encoder and mask decoder for the browser: WebAssembly SIMD, one thread, no libc.
//
// The algebra and the names are those of mobilesam/model/fast_decoder.py. Four things differ, as
// many prompts are decoded on the same photo, one at a time:
//
// - What depends on the photo and mask_input alone is computed once, by `prepare_image`. In the
//   first layer these are the projections of the image, so its attention costs almost nothing.
// - The layers carry the first upscaling of the image along, see `fold_norms`.
// - Heads are the last dimension: a projection has its values in the order (width, head). The 8
//   heads of a score fill two vectors, so attention needs no transposition and no horizontal sum.
// - All four masks are computed, so that one run serves both values of multimask_output.
//
// tensors.h is written by tensors.py, which defines the order and the layout of the weights. The
// weights of linear layers lie in panels of 8 outputs, as `multiply` reads them: [panel][input][8].
// float16 holds the bundled weights exactly.

#include "model.h"

#define EXPORT(name) __attribute__((export_name(#name)))

enum {
  IMAGE_TOKENS = SIDE * SIDE,
  PROMPT_TOKENS = MAX_POINTS + 1,  // one is the padding point
  TOKENS = (OWN_TOKENS + PROMPT_TOKENS + TILE - 1) / TILE * TILE,
  MASK_SIDE = 4 * SIDE,     // of low_res_logits and mask_input
  BLOCK = 64,               // image tokens whose rows stay in the cache
  UPSCALED = CHANNELS,      // where a row of `image` or `prepared` has its upscaled channels
  IMAGE_WIDTH = 2 * CHANNELS,
  // A stride of 1024 bytes would put the rows of a column into the same few sets of the cache.
  KEYS_STRIDE = CHANNELS + 16,
  IMAGE_STRIDE = IMAGE_WIDTH + 16,
};

// What is kept between calls --------------------------------------------------------------------

static ALIGNED float position[IMAGE_TOKENS][CHANNELS];
// The first upscaling, its weights multiplied by those of the norms: see `fold_norms`.
static ALIGNED float folded_weight[LAYERS][CHANNELS / PANEL][CHANNELS][PANEL];
static ALIGNED float folded_sum[LAYERS][CHANNELS], folded_bias[LAYERS][CHANNELS];

static ALIGNED float features[IMAGE_TOKENS][CHANNELS];
static ALIGNED float mask_input[MASK_SIDE][MASK_SIDE];
static ALIGNED float prepared[IMAGE_TOKENS][IMAGE_WIDTH];  // the image before the first layer
static ALIGNED float first_keys[IMAGE_TOKENS][INNER];      // its projections in the first layer
static ALIGNED float first_values[IMAGE_TOKENS][INNER];
static ALIGNED float first_queries[IMAGE_TOKENS][INNER];

static float point_coords[MAX_POINTS][2];
static int32_t point_labels[MAX_POINTS];

static ALIGNED float low_res_logits[MASKS][MASK_SIDE][MASK_SIDE];
static float iou_predictions[MASKS];

// What one decode works on ----------------------------------------------------------------------

static ALIGNED float image[IMAGE_TOKENS][IMAGE_STRIDE];
static ALIGNED float keys[BLOCK][KEYS_STRIDE];
static ALIGNED float queries[TOKENS][CHANNELS];     // the IoU token, the mask tokens, the prompt
static ALIGNED float point[TOKENS][CHANNELS];       // the same before the first layer
static ALIGNED float with_point[TOKENS][CHANNELS];  // their sum
static ALIGNED float attended[TOKENS][CHANNELS];
static ALIGNED float projected_q[TOKENS][CHANNELS], projected_k[TOKENS][CHANNELS];
static ALIGNED float projected_v[TOKENS][CHANNELS];
static ALIGNED float hidden[TOKENS][HIDDEN];
static ALIGNED float absorbed[TOKENS][CHANNELS][HEADS];
static ALIGNED float values_out[IMAGE_WIDTH / PANEL][TOKENS * HEADS][PANEL];
static ALIGNED float token_totals[TOKENS][HEADS];

// Scores of tokens against image tokens. Between decodes it takes what the page hands over.
static ALIGNED union {
  float scores[TOKENS][IMAGE_TOKENS][HEADS];
  uint16_t half[WEIGHT_VALUES];
} shared;
static float (*const scores)[IMAGE_TOKENS][HEADS] = shared.scores;

// Attention -------------------------------------------------------------------------------------

static void scale_rows(float *x, int values, float factor) {
  for (int i = 0; i < values; i += LANES) store(x + i, mul(load(x + i), splat(factor)));
}

/** The factor of the scores, width^-0.5. */
static float scale_of(const Attention *attention) {
  return 1.f / square_root((float)attention->q.outputs / HEADS);
}

/** out[head] = the sum of a[i][head] b[i][head] over i. */
static inline void dot_of_heads(const float *a, int a_stride, const float *b, int b_stride,
                                int count, float *out) {
  Vector left = splat(0.f), right = splat(0.f);
  for (int i = 0; i < count; i++, a += a_stride, b += b_stride) {
    left = multiply_add(load(a), load(b), left);
    right = multiply_add(load(a + LANES), load(b + LANES), right);
  }
  store(out, left);
  store(out + LANES, right);
}

/** scores[token][row][head] = a token's projection times a row's, both (width, HEADS). */
static void score_projected(const float *tokens, int count, const float *rows, int row_count,
                            int inner) {
  for (int row = 0; row < row_count; row++) {
    for (int token = 0; token < count; token++) {
      dot_of_heads(tokens + token * inner, HEADS, rows + row * inner, HEADS, inner / HEADS,
                   scores[token][row]);
    }
  }
}

/** The numerators of softmax in place of scores that are `stride` apart; returns their sum. */
static inline Vector exponentiate(float *at, int count, int stride) {
  Vector highest = load(at), total = splat(0.f);
  for (int i = 1; i < count; i++) highest = maximum(highest, load(at + i * stride));
  for (int i = 0; i < count; i++) {
    Vector weight = exponential(sub(load(at + i * stride), highest));
    store(at + i * stride, weight);
    total = add(total, weight);
  }
  return total;
}

/** Softmax over the rows, for every token and head, but for the division by `token_totals`. */
static void exponentiate_scores(int count, int row_count) {
  for (int token = 0; token < count; token++) {
    for (int head = 0; head < HEADS; head += LANES) {
      Vector total = exponentiate(scores[token][0] + head, row_count, HEADS);
      store(token_totals[token] + head, total);
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

/** absorbed[token][channel][head] = what to multiply rows by for the scores of a projected token
 * against them, instead of projecting the rows by the layer. */
static void absorb(const float *projected, int count, const Linear *layer) {
  for (int token = 0; token < count; token++) {
    for (int channel = 0; channel < CHANNELS; channel++) {
      dot_of_heads(projected + token * INNER, HEADS, layer->weight + channel * PANEL,
                   CHANNELS * PANEL, INNER / HEADS, absorbed[token][channel]);
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
    multiply(rows_of(*keys, KEYS_STRIDE), BLOCK, CHANNELS, **absorbed, CHANNELS * HEADS,
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
      dot_of_heads(*absorbed[token], HEADS, layer->weight + i * CHANNELS, PANEL, CHANNELS,
                   out + token * INNER + i);
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

/** values_out[panel][token, head][8]: what a score of 1 adds to the image and its upscaling. */
static void project_values_out(const Attention *attention, int layer, int count) {
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
  const int by_panel = TOKENS * HEADS * PANEL;
  multiply((Matrix){**values_out, PANEL, 1, by_panel}, count * HEADS, CHANNELS,
           **folded_weight[layer], CHANNELS * PANEL, CHANNELS, (Panels){0},
           (Panels){*values_out[UPSCALED / PANEL], PANEL, by_panel});
}

/** Softmax of the scores over the tokens, for some image tokens. */
static void softmax_over_tokens(int count, int from, int to) {
  for (int row = from; row < to; row++) {
    for (int head = 0; head < HEADS; head += LANES) {
      Vector total = exponentiate(scores[0][row] + head, count, IMAGE_TOKENS * HEADS);
      Vector inverse = wasm_f32x4_div(splat(1.f), total);
      for (int token = 0; token < count; token++) {
        float *weight = scores[token][row] + head;
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
    dot_of_heads(*projected_k + token * INNER, HEADS, attention->q.bias, HEADS, INNER / HEADS,
                 bias[token]);
  }
  absorb(*projected_k, count, &attention->q);
  score_absorbed(count, *bias);
}

/** Normalises some rows of the image; what is upscaled follows, as `fold_norms` has prepared. */
static void norm_image(int layer, int from, int to) {
  for (int row = from; row < to; row++) {
    Statistics of = norm_row(&layers[layer].norms[3], image[row]);
    float *upscaled = image[row] + UPSCALED;
    for (int i = 0; i < CHANNELS; i += LANES) {
      Vector centred = sub(load(upscaled + i), mul(of.mean, load(folded_sum[layer] + i)));
      store(upscaled + i, multiply_add(centred, of.scale, load(folded_bias[layer] + i)));
    }
  }
}

/** image = the image plus its attention to the tokens, normalised. */
static void attend_from_tokens(int layer, int count) {
  const Attention *attention = &layers[layer].from_tokens;
  score_from_tokens(attention, count, layer == 0);
  linear(&attention->v, *queries, count, *projected_v);
  project_values_out(attention, layer, count);
  for (int from = 0; from < IMAGE_TOKENS; from += BLOCK) {
    softmax_over_tokens(count, from, from + BLOCK);
    Matrix weight = {scores[0][from], HEADS, 1, IMAGE_TOKENS * HEADS};
    Panels after = to_rows(image[from], IMAGE_STRIDE);
    Panels before = layer == 0 ? to_rows(prepared[from], IMAGE_WIDTH) : after;
    multiply(weight, BLOCK, count * HEADS, **values_out, TOKENS * HEADS * PANEL, IMAGE_WIDTH,
             before, after);
    norm_image(layer, from, from + BLOCK);
  }
}

/** segment_anything's TwoWayAttentionBlock. */
static void run_layer(int index, int count) {
  const Layer *layer = &layers[index];
  const int values = up_to_tile(count) * CHANNELS;
  if (index == 0) {
    attend_between_tokens(&layer->self_attention, *queries, *queries, count);
    copy(*queries, *attended, values);
  } else {
    add_rows(*with_point, *queries, *point, values);
    attend_between_tokens(&layer->self_attention, *with_point, *queries, count);
    add_rows(*queries, *queries, *attended, values);
  }
  layer_norm(&layer->norms[0], *queries, count);

  add_rows(*with_point, *queries, *point, values);
  attend_to_image(&layer->to_image, count, index == 0);
  add_rows(*queries, *queries, *attended, values);
  layer_norm(&layer->norms[1], *queries, count);

  linear(&layer->fc1, *queries, count, *hidden);
  relu_rows(*hidden, count * HIDDEN);
  linear(&layer->fc2, *hidden, count, *attended);
  add_rows(*queries, *queries, *attended, values);
  layer_norm(&layer->norms[2], *queries, count);

  add_rows(*with_point, *queries, *point, values);
  attend_from_tokens(index, count);
}

/** Folds the norms of the image into the first upscaling.
 *
 * A layer adds the attention A V to the image X and normalises: it becomes s (X + A V - m) w + b,
 * where s and m are the scale and the mean of a row. Its product with the upscaling's weights U is
 * s (X W + A V W - m sum(W)) + b U with W = w U, so a layer that knows X W gets the next product
 * from few columns of A instead of all channels of X. `prepare_image` computes the first X W. */
static void fold_norms(void) {
  const float *weight = upscaling_first.weight, *bias = upscaling_first.bias;
  for (int layer = LAYERS - 1; layer >= 0; layer--) {
    const Norm *norm = &layers[layer].norms[3];
    for (int i = 0; i < CHANNELS; i++) {
      float sum = 0.f, offset = bias ? bias[i] : 0.f;
      for (int channel = 0; channel < CHANNELS; channel++) {
        float value = weight[(i / PANEL * CHANNELS + channel) * PANEL + i % PANEL];
        float folded = norm->weight[channel] * value;
        folded_weight[layer][i / PANEL][channel][i % PANEL] = folded;
        sum += folded;
        offset += norm->bias[channel] * value;
      }
      folded_sum[layer][i] = sum;
      folded_bias[layer][i] = offset;
    }
    weight = **folded_weight[layer];
    bias = 0;
  }
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

/** The second transposed convolution, as a matrix product, and the product with the hypernetworks.
 * The layers have carried the first one along. */
static void upscale_image(void) {
  enum { TOGETHER = 16 };
  static ALIGNED float hyper[MASK_CHANNELS][MASKS];
  static ALIGNED float pixels_2x[TOGETHER][CHANNELS];
  static ALIGNED float pixels_4x[TOGETHER][16 * MASK_CHANNELS];
  run_hypernetworks(hyper);
  for (int from = 0; from < IMAGE_TOKENS; from += TOGETHER) {
    for (int i = 0; i < TOGETHER; i++) copy(pixels_2x[i], image[from + i] + UPSCALED, CHANNELS);
    layer_norm(&upscaling_norm, *pixels_2x, TOGETHER * 4);
    gelu_rows(*pixels_2x, TOGETHER * CHANNELS);
    linear(&upscaling_second, *pixels_2x, TOGETHER * 4, *pixels_4x);
    gelu_rows(*pixels_4x, TOGETHER * 16 * MASK_CHANNELS);
    for (int i = 0; i < TOGETHER; i++) write_logits(from + i, pixels_4x[i], hyper);
  }
}

// Prompt encoder --------------------------------------------------------------------------------

/** The random frequencies, in units of the image's side; float16 alone is too coarse for them. */
static double frequency(int axis, int i) {
  int at = axis * (CHANNELS / 2) + i;
  return (double)TENSOR(gaussian_matrix)[at] + TENSOR(gaussian_matrix_rest)[at];
}

/** The part of an angle that a coordinate from 0 to 1 makes up. */
static double angle_of(double coordinate, int axis, int i) {
  return 2 * PI * (2 * coordinate - 1) * frequency(axis, i);
}

static void encode_point(double x, double y, float *out) {
  for (int i = 0; i < CHANNELS / 2; i++) {
    double angle = angle_of(x, 0, i) + angle_of(y, 1, i);
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
        double angle = angle_of((at + 0.5) / SIDE, axis, i);
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
    layer_norm(&downscaling_norm_1, *pixels_2x, SIDE * 4);
    gelu_rows(*pixels_2x, SIDE * 16);
    linear(&downscaling_second, *pixels_2x, SIDE, *pixels);
    layer_norm(&downscaling_norm_2, *pixels, SIDE);
    gelu_rows(*pixels, SIDE * 16);
    linear_to(&downscaling_third, *pixels, 16, SIDE, prepared[y * SIDE], IMAGE_WIDTH);
  }
}

// What the page calls ---------------------------------------------------------------------------

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
  bool is_valid = read_half(shared.half, weights, WEIGHT_VALUES);
  if (is_valid) {
    encode_positions();
    fold_norms();
  }
  return is_valid;
}

/** Takes an embedding from `input`; false if it is not finite. */
EXPORT(load_photo) bool load_photo(void) {
  return read_half(shared.half, *features, IMAGE_TOKENS * CHANNELS);
}

/** Computes what all decodes with this photo and mask_input share. */
EXPORT(prepare_image) void prepare_image(bool has_mask_input) {
  const Attention *to_image = &layers[0].to_image, *from_tokens = &layers[0].from_tokens;
  static const ALIGNED float no_bias[CHANNELS];
  Linear upscaling = {**folded_weight[0], no_bias, CHANNELS, CHANNELS};
  if (has_mask_input) embed_mask_input();
  for (int token = 0; token < IMAGE_TOKENS; token++) {
    const float *dense = has_mask_input ? prepared[token] : TENSOR(no_mask_embedding);
    add_rows(prepared[token], features[token], dense, CHANNELS);
  }
  for (int from = 0; from < IMAGE_TOKENS; from += BLOCK) {
    for (int row = 0; row < BLOCK; row++) {
      add_rows(keys[row], prepared[from + row], position[from + row], CHANNELS);
    }
    linear_to(&to_image->k, *keys, KEYS_STRIDE, BLOCK, first_keys[from], INNER);
    linear_to(&to_image->v, prepared[from], IMAGE_WIDTH, BLOCK, first_values[from], INNER);
    linear_to(&from_tokens->q, *keys, KEYS_STRIDE, BLOCK, first_queries[from], INNER);
    linear_to(&upscaling, prepared[from], IMAGE_WIDTH, BLOCK, prepared[from] + UPSCALED,
              IMAGE_WIDTH);
  }
}

/** Decodes the prompt in `coords` and `labels` to `logits` and `ious`. */
EXPORT(decode) void decode(int points) {
  int count = embed_prompt(points);
  for (int layer = 0; layer < LAYERS; layer++) run_layer(layer, count);
  const int values = up_to_tile(OWN_TOKENS) * CHANNELS;
  add_rows(*with_point, *queries, *point, values);
  attend_to_image(&final_attention, OWN_TOKENS, false);
  add_rows(*queries, *queries, *attended, values);
  layer_norm(&final_norm, *queries, OWN_TOKENS);
  predict_ious();
  upscale_image();
}
