// Products of matrices, linear layers and norms.

#pragma once

#include "vectors.h"

enum {
  PANEL = 2 * LANES,     // columns that `multiply` computes at a time
  TILE = 4,              // rows that it computes at a time
  CACHED_VALUES = 4096,  // of a matrix, which stay in the fastest cache with a panel of the other
};

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
    const float *values[TILE];
#pragma unroll
    for (int row = 0; row < TILE; row++) values[row] = a.at + row * a.by_row;
#pragma clang loop unroll(disable)  // for the same reason as `multiply` is not inlined
    for (int i = 0; i < PANEL; i++) {
      Vector left = load(panel), right = load(panel + LANES);
#pragma unroll
      for (int row = 0; row < TILE; row++) {
        Vector value = wasm_v128_load32_splat(values[row]);
        sums[row][0] = multiply_add(value, left, sums[row][0]);
        sums[row][1] = multiply_add(value, right, sums[row][1]);
        values[row] += a.by_column;
      }
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
 * of `out` or, if it is one row for all, `by_row` 0; without `at` it is zero.
 *
 * It is not inlined: with the constants of a call, the compiler keeps more addresses than there
 * are registers, which doubles the time. */
__attribute__((noinline)) static void multiply(Matrix a, int rows, int inner, const float *b,
                                               int b_by_panel, int columns, Panels start,
                                               Panels out) {
  // So many rows stay in the fastest cache while the panels pass.
  const int together = inner < CACHED_VALUES / TILE ? CACHED_VALUES / inner / TILE * TILE : TILE;
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

typedef struct {
  Vector mean, scale;
} Statistics;

static Statistics statistics_of(const float *x, int width, float epsilon) {
  Vector sum = splat(0.f), squares = splat(0.f);
  for (int i = 0; i < width; i += LANES) sum = add(sum, load(x + i));
  Vector mean = splat(sum_of(sum) / width);
  for (int i = 0; i < width; i += LANES) {
    Vector difference = sub(load(x + i), mean);
    squares = multiply_add(difference, difference, squares);
  }
  return (Statistics){mean, splat(1.f / square_root(sum_of(squares) / width + epsilon))};
}

static inline Statistics norm_row(const Norm *norm, float *x) {
  Statistics of = statistics_of(x, norm->width, norm->epsilon);
  for (int i = 0; i < norm->width; i += LANES) {
    Vector unit = mul(sub(load(x + i), of.mean), of.scale);
    store(x + i, multiply_add(unit, load(norm->weight + i), load(norm->bias + i)));
  }
  return of;
}

static void layer_norm(const Norm *norm, float *x, int rows) {
  for (int row = 0; row < rows; row++) norm_row(norm, x + row * norm->width);
}

