// Float sums over the entries of a row that pass through steps before they leave the caches.

#ifndef JGC_NATIVE_FUSED_H_
#define JGC_NATIVE_FUSED_H_

#include <algorithm>
#include <cstdint>
#include <memory>

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

// Some rows on their way: they are still in the nearest cache when the steps come, and to choose a
// step once a band is cheaper than once a row. Each row has a whole number of vectors.
struct Band {
  int64_t first, last;
  float* at;  // [last - first, stride]
  int64_t stride;
};
constexpr int64_t kBandFloats = 4096;

// Columns [at, at + n) of one row, of which the last 16 may not all be there.
template <int K, bool kWeighted, bool kFar>
JGC_INLINE void float_sums(const FloatSums& g, int64_t row, float* to, int64_t at, int n = 16 * K) {
  const int64_t first = g.rows.indptr[row], last = g.rows.indptr[row + 1],
                end = g.rows.n_entry();
  const int n_last = n - 16 * (K - 1);
  Lanes<float, 16> sums[K] = {};
  auto add = [&](int64_t col, float weight) __attribute__((always_inline)) {
    const float* from = g.x + col * g.width + at;
    // Beyond a row's end lie other rows, whose values land where nobody looks; not so at the end.
    const int safe = from + 16 * K <= g.x_end ? 16 : n_last;
    for (int k = 0; k < K; ++k) {
      sums[k] += load<16>(from + 16 * k, k + 1 < K ? 16 : safe) * weight;
    }
  };
  for (int64_t e = first; e < last; ++e) {
    if constexpr (kFar) ask_ahead<K * 64>(g.cols, e, end, g.x + at, g.width);
    add(g.cols[e], kWeighted ? g.weights[e] : 1.0f);
  }
  if (g.own) add(row, g.own[row]);
  for (int k = 0; k < K; ++k) store<16>(to + at + 16 * k, sums[k]);
}

template <bool kWeighted, bool kFar>
JGC_INLINE void sum_band(const FloatSums& g, const Band& band) {
  float* to = band.at;
  for (int64_t row = band.first; row < band.last; ++row, to += band.stride) {
    int64_t at = 0;
    for (; at + 64 <= g.width; at += 64) float_sums<4, kWeighted, kFar>(g, row, to, at);
    for (; at + 16 <= g.width; at += 16) float_sums<1, kWeighted, kFar>(g, row, to, at);
    if (at < g.width) float_sums<1, kWeighted, kFar>(g, row, to, at, int(g.width - at));
  }
}

JGC_INLINE void step_band(const Steps& steps, int64_t i, int64_t width, const Band& band) {
  const Step step = static_cast<Step>(steps.names[i]);
  const float* table = steps.tables[i];
  for (int64_t at = 0; at < band.stride; at += 16) {
    const int n = static_cast<int>(std::min<int64_t>(16, width - at));
    const auto column = has_columns(step) ? load<16>(table + at, n) : Lanes<float, 16>{};
    one_step(step, table, [&](auto change) __attribute__((always_inline)) {
      float* to = band.at + at;
      for (int64_t row = band.first; row < band.last; ++row, to += band.stride) {
        store<16>(to, change(load<16>(to), row, [&]() __attribute__((always_inline)) {
          return column;
        }));
      }
    });
  }
}

// Takes a band to its place. What is written beyond a row's end is written over by the next row.
JGC_INLINE void write_band(const FloatSums& g, const Band& band) {
  float *to = g.y + band.first * g.width, *end = g.y + band.last * g.width;
  for (const float* from = band.at; to < end; from += band.stride, to += g.width) {
    for (int64_t at = 0; at < g.width; at += 16) {
      const int n = static_cast<int>(std::min<int64_t>(16, g.width - at));
      store<16>(to + at, load<16>(from + at), to + at + 16 <= end ? 16 : n);
    }
  }
}

// Values that fit the second cache need not be asked for ahead.
constexpr int64_t kNearFloats = 1 << 17;

JGC_INLINE void float_sum_rows(const FloatSums& g, int64_t first_row, int64_t last_row) {
  const bool far = g.x_end - g.x > kNearFloats, whole = g.width % 16 == 0;
  const int64_t stride = (g.width + 15) / 16 * 16;
  const int64_t n = std::max<int64_t>(1, kBandFloats / stride);
  std::unique_ptr<float[]> scratch(whole ? nullptr : new float[n * stride]);
  for (int64_t from = first_row; from < last_row; from += n) {
    Band band{from, std::min(from + n, last_row), scratch.get(), stride};
    if (whole) band.at = g.y + from * g.width;
    if (g.weights && far) sum_band<true, true>(g, band);
    else if (g.weights) sum_band<true, false>(g, band);
    else if (far) sum_band<false, true>(g, band);
    else sum_band<false, false>(g, band);
    for (int64_t i = 0; i < g.steps.n; ++i) step_band(g.steps, i, g.width, band);
    if (!whole) write_band(g, band);
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_FUSED_H_
