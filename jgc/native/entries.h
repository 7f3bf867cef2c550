// Values of entries: products of two ends, and sums, maxima and softmax over the entries of a row.

#ifndef JGC_NATIVE_ENTRIES_H_
#define JGC_NATIVE_ENTRIES_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "lanes.h"
#include "pool.h"
#include "product.h"

namespace jgc {

// The inner product of two rows of `width`.
JGC_INLINE float dot(const float* p, const float* q, int64_t width) {
  int64_t i = 0;
  float total = 0;
  if (width >= 16) {
    Lanes<float, 16> sums = {};
    for (; i + 16 <= width; i += 16) sums += load<16>(p + i) * load<16>(q + i);
    total = sum_of<16>(sums);
  }
  if (i + 8 <= width) {
    total += sum_of<8>(load<8>(p + i) * load<8>(q + i));
    i += 8;
  }
  for (; i < width; ++i) total += p[i] * q[i];
  return total;
}

// out[e, h] = sum over d of a[row of e, h, d] b[cols[e], h, d].
JGC_CLONES void dots_of_ends(Rows rows, const int32_t* cols, const float* a, const float* b,
                             int64_t heads, int64_t width, float* out, int64_t first_row,
                             int64_t last_row) {
  const int64_t stride = heads * width, end = rows.n_entry();
  for (int64_t row = first_row; row < last_row; ++row) {
    for (int64_t e = rows.indptr[row]; e < rows.indptr[row + 1]; ++e) {
      if (stride < 64) ask_ahead<64>(cols, e, end, b, stride);
      else ask_ahead<256>(cols, e, end, b, stride);
      for (int64_t head = 0; head < heads; ++head) {
        const int64_t at = head * width;
        out[e * heads + head] = dot(a + row * stride + at, b + cols[e] * stride + at, width);
      }
    }
  }
}

// out[i, k] = the sum or the largest of v[e, k] over the entries of row i; 0 for empty rows.
template <Reduce reduce>
JGC_INLINE void reduce_entries(Rows rows, const float* v, int64_t width, float* out,
                               int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    float* to = out + row * width;
    const int64_t first = rows.indptr[row], last = rows.indptr[row + 1];
    if (first == last) {
      std::fill(to, to + width, 0.0f);
      continue;
    }
    std::copy(v + first * width, v + (first + 1) * width, to);
    for (int64_t e = first + 1; e < last; ++e) {
      const float* from = v + e * width;
      for (int64_t k = 0; k < width; ++k) {
        if constexpr (reduce == Reduce::kSum) {
          to[k] += from[k];
        } else {
          to[k] = ((from[k] > to[k]) | (from[k] != from[k])) ? from[k] : to[k];
        }
      }
    }
  }
}

// e to the x for x <= 0, within 2 units of the last place; 0 below -87.
template <int N>
JGC_INLINE Lanes<float, N> exp_of(Lanes<float, N> x) {
  // e^x = 2^n e^r with |r| <= ln(2) / 2; ln 2 in two parts, and a polynomial after Cephes' expf.
  const Lanes<float, N> bounded = x < -87.0f ? -87.0f - Lanes<float, N>{} : x;
  const Lanes<float, N> scaled = bounded * 1.44269504f - 0.5f;
  const auto n = __builtin_convertvector(scaled, Lanes<int32_t, N>);  // towards 0: x is not above 0
  const auto whole = __builtin_convertvector(n, Lanes<float, N>);
  const Lanes<float, N> r = bounded - whole * 0.693359375f + whole * 2.12194440e-4f;
  Lanes<float, N> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Lanes<int32_t, N> power = (n + 127) << 23;
  const Lanes<float, N> result = p * std::bit_cast<Lanes<float, N>>(power);
  return x < -87.0f ? Lanes<float, N>{} : x != x ? x : result;
}

// The largest score of N heads over a row's entries and its own score.
template <int N>
JGC_INLINE Lanes<float, N> top_of(const float* scores, const float* own, int64_t first,
                                  int64_t last, int64_t heads) {
  auto top = own ? load<N>(own) : -std::numeric_limits<float>::infinity() - Lanes<float, N>{};
  for (int64_t e = first; e < last; ++e) {
    const auto score = load<N>(scores + e * heads);
    top = ((score > top) | (score != score)) ? score : top;
  }
  return top;
}

// N heads of a row at a time; all pointers are at the first of them.
template <int N>
JGC_INLINE void softmax_row(const float* scores, const float* own, int64_t first, int64_t last,
                            int64_t heads, float* out, float* out_own) {
  const auto top = top_of<N>(scores, own, first, last, heads);
  Lanes<float, N> total = {};
  if (own) {
    total = exp_of<N>(load<N>(own) - top);
    store<N>(out_own, total);
  }
  for (int64_t e = first; e < last; ++e) {
    const auto exp = exp_of<N>(load<N>(scores + e * heads) - top);
    store<N>(out + e * heads, exp);
    total += exp;
  }
  const auto share = 1.0f / total;
  for (int64_t e = first; e < last; ++e) {
    store<N>(out + e * heads, load<N>(out + e * heads) * share);
  }
  if (own) store<N>(out_own, load<N>(out_own) * share);
}

// ds = p (g - sum over the row of p g), N heads of a row at a time.
template <int N>
JGC_INLINE void softmax_gradient_row(const float* p, const float* p_own, const float* g,
                                     const float* g_own, int64_t first, int64_t last,
                                     int64_t heads, float* ds, float* d_own) {
  Lanes<float, N> mean = {};
  if (p_own) mean = load<N>(p_own) * load<N>(g_own);
  for (int64_t e = first; e < last; ++e) mean += load<N>(p + e * heads) * load<N>(g + e * heads);
  for (int64_t e = first; e < last; ++e) {
    const int64_t at = e * heads;
    store<N>(ds + at, load<N>(p + at) * (load<N>(g + at) - mean));
  }
  if (p_own) store<N>(d_own, load<N>(p_own) * (load<N>(g_own) - mean));
}

// Calls `run<N>(head)` over all heads, 8 or 4 of them together where their number allows.
template <typename Run>
JGC_INLINE void over_heads(int64_t heads, const Run& run) {
  int64_t head = 0;
  for (; head + 8 <= heads; head += 8) run.template operator()<8>(head);
  for (; head + 4 <= heads; head += 4) run.template operator()<4>(head);
  for (; head < heads; ++head) run.template operator()<1>(head);
}

// Softmax over the entries of each row, and over the row's own score where there is one.
JGC_CLONES void softmax_rows(Rows rows, const float* scores, const float* own, int64_t heads,
                             float* out, float* out_own, int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    const int64_t first = rows.indptr[row], last = rows.indptr[row + 1], at = row * heads;
    over_heads(heads, [&]<int N>(int64_t h) __attribute__((always_inline)) {
      softmax_row<N>(scores + h, own ? own + at + h : nullptr, first, last, heads, out + h,
                     own ? out_own + at + h : nullptr);
    });
  }
}

// The gradient of `softmax_rows`.
JGC_CLONES void softmax_gradient_rows(Rows rows, const float* p, const float* p_own, const float* g,
                                      const float* g_own, int64_t heads, float* ds, float* d_own,
                                      int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    const int64_t first = rows.indptr[row], last = rows.indptr[row + 1], at = row * heads;
    over_heads(heads, [&]<int N>(int64_t h) __attribute__((always_inline)) {
      softmax_gradient_row<N>(p + h, p_own ? p_own + at + h : nullptr, g + h,
                              p_own ? g_own + at + h : nullptr, first, last, heads, ds + h,
                              p_own ? d_own + at + h : nullptr);
    });
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_ENTRIES_H_
