// Both gradients of a product in one walk over its columns: every row is gathered once for both.

#ifndef JGC_NATIVE_GRADIENTS_H_
#define JGC_NATIVE_GRADIENTS_H_

#include <cstdint>

#include "lanes.h"
#include "product.h"

namespace jgc {

// Of y = sum over e of w[e] x[cols[e]]; the pattern is walked by columns.
struct Gradients {
  Gather<float, float> of_x;  // dx[j] = sum over column j's entries e of w[e] dy[row of e]
  const float* x;             // [n_col, heads * width]
  const int32_t* order;       // where an entry stands in the order of rows, [n_entry]
  float* dw;                  // dw[order[e]] = dy[row of e] . x[j], [n_entry, heads]
};

// The part of both that columns [at, at + K * N) of one row of x have; of the last N only `n_last`
// are there. The first part of a head begins its dw, further ones are added.
template <int K, int N>
JGC_INLINE void gradient_block(const Gradients& gradients, int64_t col, int64_t at, int64_t head,
                               int n_last = N) {
  const Gather<float, float>& g = gradients.of_x;
  const int64_t stride = g.heads * g.width, end = g.rows.n_entry();
  const bool begins = at == head * g.width;
  Lanes<float, N> own[K], sums[K] = {};
  for (int k = 0; k < K; ++k) {
    own[k] = load<N>(gradients.x + col * stride + at + k * N, k + 1 < K ? N : n_last);
  }
  for (int64_t e = g.rows.indptr[col]; e < g.rows.indptr[col + 1]; ++e) {
    ask_ahead<K * N * sizeof(float)>(g.cols, e, end, g.x + at, stride);
    const float* from = g.x + g.cols[e] * stride + at;
    const float weight = g.weights[e * g.heads + head];
    Lanes<float, N> dots = {};
    for (int k = 0; k < K; ++k) {
      const auto raw = load<N>(from + k * N, k + 1 < K ? N : n_last);
      sums[k] += raw * weight;
      dots += raw * own[k];
    }
    float* dw = gradients.dw + gradients.order[e] * g.heads + head;
    *dw = (begins ? 0.0f : *dw) + sum_of<N>(dots);
  }
  for (int k = 0; k < K; ++k) {
    store<N>(g.y + col * stride + at + k * N, sums[k], k + 1 < K ? N : n_last);
  }
}

JGC_CLONES void gradients_of_columns(const Gradients& gradients, int64_t first, int64_t last) {
  const Gather<float, float>& g = gradients.of_x;
  for (int64_t col = first; col < last; ++col) {
    for (int64_t head = 0; head < g.heads; ++head) {
      int64_t at = head * g.width;
      const int64_t stop = at + g.width;
      for (; at + 64 <= stop; at += 64) gradient_block<4, 16>(gradients, col, at, head);
      for (; at + 16 <= stop; at += 16) gradient_block<1, 16>(gradients, col, at, head);
      for (; at + 8 <= stop; at += 8) gradient_block<1, 8>(gradients, col, at, head);
      if (at < stop) gradient_block<1, 8>(gradients, col, at, head, int(stop - at));
    }
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_GRADIENTS_H_
