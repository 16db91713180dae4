// Vectors of four float32, and the functions of mathematics that the decoder needs.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { LANES = 4 };  // values of a vector

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

/** e^x for x up to 0: 2^n by the exponent's bits, the rest by the polynomial of Cephes' expf. */
static inline Vector exponential(Vector x) {
  static const float COEFFICIENTS[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                       4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  x = maximum(x, splat(-87.f));  // below, the result is not a normal number
  Vector n = wasm_f32x4_nearest(mul(x, splat(1.44269504f)));
  Vector rest = multiply_add(n, splat(-0.693359375f), x);  // ln 2 in two parts
  rest = multiply_add(n, splat(2.12194440e-4f), rest);
  Vector power = polynomial(rest, COEFFICIENTS, COUNT(COEFFICIENTS));
  power = add(multiply_add(power, mul(rest, rest), rest), splat(1.f));
  return wasm_i32x4_add(power, wasm_i32x4_shl(wasm_i32x4_trunc_sat_f32x4(n), 23));
}

/** x times the normal distribution's Phi(x) = 1/2 + x P(x^2) / Q(x^2), within 1.5e-6. P and Q are
 * a minimax fit for |x| <= 5.5, beyond which Phi is constant to 2e-8. */
static inline Vector gelu(Vector x) {
  static const float P[] = {9.55968093e-6f, 5.32561627e-4f, 6.89909164e-3f, 6.87233326e-2f,
                            3.98940940e-1f};
  static const float Q[] = {7.69424798e-7f, 1.93906478e-4f, 3.94243396e-3f, 4.88210625e-2f,
                            3.38905042e-1f, 1.f};
  Vector near = maximum(minimum(x, splat(5.5f)), splat(-5.5f));
  Vector square = mul(near, near);
  Vector numerator = mul(near, polynomial(square, P, COUNT(P)));
  Vector ratio = wasm_f32x4_div(numerator, polynomial(square, Q, COUNT(Q)));
  return mul(x, add(ratio, splat(0.5f)));
}

static const double PI = 3.141592653589793;

/** sin x within 1e-11, by Taylor's series between -PI / 2 and PI / 2. */
static double sine(double x) {
  x -= __builtin_rint(x / (2 * PI)) * 2 * PI;
  if (x > PI / 2) x = PI - x;
  if (x < -PI / 2) x = -PI - x;
  double square = x * x, term = x, sum = x;
  for (int n = 2; n <= 14; n += 2) {
    term *= -square / (n * (n + 1));
    sum += term;
  }
  return sum;
}

static double cosine(double x) { return sine(x + PI / 2); }

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

/** Converts float16 to float32; false if a value is infinite or not a number. */
static bool read_half(const uint16_t *half, float *out, int values) {
  Vector invalid = splat(0.f);
  for (int i = 0; i < values; i += LANES) {
    Vector bits = wasm_u32x4_load16x4(half + i);
    Vector magnitude = wasm_v128_and(bits, wasm_i32x4_splat(0x7fff));
    Vector sign = wasm_i32x4_shl(wasm_v128_xor(bits, magnitude), 16);
    // The exponent's bias differs by 112; multiplication also handles subnormal numbers.
    Vector value = mul(wasm_i32x4_shl(magnitude, 13), splat(0x1p112f));
    store(out + i, wasm_v128_or(value, sign));
    invalid = wasm_v128_or(invalid, wasm_i32x4_ge(magnitude, wasm_i32x4_splat(0x7c00)));
  }
  return !wasm_v128_any_true(invalid);
}
