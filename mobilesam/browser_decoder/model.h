// The weights, and the parts of the model that they belong to: the names are those of tensors.py.

#pragma once

#include "matrices.h"
#include "tensors.h"

#define ALIGNED __attribute__((aligned(64)))

_Static_assert(HEADS == PANEL, "the heads of a score are one panel");

static const float TRANSFORMER_EPSILON = 1e-5f;  // of torch's LayerNorm
static const float LAYER_NORM_2D_EPSILON = 1e-6f;

static ALIGNED float weights[WEIGHT_VALUES];

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
#define LAYER(name)                                                                       \
  {ATTENTION(name##_self_attention), ATTENTION(name##_to_image),                          \
   ATTENTION(name##_from_tokens),                                                         \
   {LAYER_NORM(name##_norms_0), LAYER_NORM(name##_norms_1), LAYER_NORM(name##_norms_2),   \
    LAYER_NORM(name##_norms_3)},                                                          \
   LINEAR(name##_fc1), LINEAR(name##_fc2)}
#define MLP(name) {LINEAR(name##_0), LINEAR(name##_1), LINEAR(name##_2)}

static const Layer layers[] = {LAYER(layers_0), LAYER(layers_1)};
enum { LAYERS = COUNT(layers) };
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
