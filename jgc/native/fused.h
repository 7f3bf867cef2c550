// Float sums over the entries of a row that pass through steps before they are written.

#ifndef JGC_NATIVE_FUSED_H_
#define JGC_NATIVE_FUSED_H_

#include <algorithm>
#include <cstdint>

#include "lanes.h"
#include "product.h"
#include "steps.h"

namespace jgc {

struct FloatSums {
  Rows rows;
  const int32_t* cols;
  const float* weights;  // [n_entry], or null: all 1
  const float* own;      // how often a row counts itself, [n_row], or null
  const float* x;        // [n_col, width]
  const float* x_end;
  int64_t width;
  Steps steps;
  float* y;  // [n_row, width]
};

// Columns [at, at + n) of one row, of which the last 16 may not all be there.
template <int K>
JGC_INLINE void float_sums(const FloatSums& g, int64_t row, int64_t at, int n) {
  const int64_t first = g.rows.indptr[row], last = g.rows.indptr[row + 1],
                end = g.rows.n_entry();
  const int n_last = n - 16 * (K - 1);
  Lanes<float, 16> sums[K] = {};
  auto add = [&](int64_t col, const float* weight) __attribute__((always_inline)) {
    const float* from = g.x + col * g.width + at;
    // Beyond a row's end lie other rows, whose values land where nobody looks; not so at the end.
    const int safe = from + 16 * K <= g.x_end ? 16 : n_last;
    for (int k = 0; k < K; ++k) {
      const auto value = load<16>(from + 16 * k, k + 1 < K ? 16 : safe);
      sums[k] += weight ? value * *weight : value;
    }
  };
  for (int64_t e = first; e < last; ++e) {
    ask_ahead<K * 64>(g.cols, e, end, g.x + at, g.width);
    add(g.cols[e], g.weights ? g.weights + e : nullptr);
  }
  if (g.own) add(row, g.own + row);
  finish<K>(g.steps, sums, row, at, n, g.y + row * g.width + at);
}

JGC_INLINE void float_sum_rows(const FloatSums& g, int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    int64_t at = 0;
    for (; at + 64 <= g.width; at += 64) float_sums<4>(g, row, at, 64);
    for (; at < g.width; at += 16) {
      float_sums<1>(g, row, at, static_cast<int>(std::min<int64_t>(16, g.width - at)));
    }
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_FUSED_H_
