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

// out[e, h] = sum over d of a[row of e, h, d] b[cols[e], h, d].
JGC_CLONES void dots_of_ends(Rows rows, const int32_t* cols, const float* a, const float* b,
                             int64_t heads, int64_t width, float* out, int64_t first_row,
                             int64_t last_row) {
  const int64_t stride = heads * width, end = rows.n_entry();
  for (int64_t row = first_row; row < last_row; ++row) {
    const float* own = a + row * stride;
    for (int64_t e = rows.indptr[row]; e < rows.indptr[row + 1]; ++e) {
      if (stride < 64) ask_ahead<64>(cols, e, end, b, stride);
      else ask_ahead<256>(cols, e, end, b, stride);
      const float* other = b + cols[e] * stride;
      for (int64_t head = 0; head < heads; ++head) {
        const float *p = own + head * width, *q = other + head * width;
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
        out[e * heads + head] = total;
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
          to[k] = (from[k] > to[k]) | (from[k] != from[k]) ? from[k] : to[k];
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

// Softmax over the entries of each row, and over the row's own score where there is one.
JGC_CLONES void softmax_rows(Rows rows, const float* scores, const float* own, int64_t heads,
                             float* out, float* out_own, int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    const int64_t first = rows.indptr[row] * heads, last = rows.indptr[row + 1] * heads;
    for (int64_t h = 0; h < heads; ++h) {
      float top = own ? own[row * heads + h] : -std::numeric_limits<float>::infinity();
      for (int64_t j = first + h; j < last; j += heads) {
        top = (scores[j] > top) | (scores[j] != scores[j]) ? scores[j] : top;
      }
      for (int64_t j = first + h; j < last; j += heads) out[j] = scores[j] - top;
      if (own) out_own[row * heads + h] = own[row * heads + h] - top;
    }
    int64_t j = first;
    for (; j + 16 <= last; j += 16) store<16>(out + j, exp_of<16>(load<16>(out + j)));
    if (j < last) store<16>(out + j, exp_of<16>(load<16>(out + j, int(last - j))), int(last - j));
    for (int64_t h = 0; own && h < heads; h += 8) {
      const int n = int(std::min(heads - h, int64_t{8}));
      float* to = out_own + row * heads + h;
      store<8>(to, exp_of<8>(load<8>(to, n)), n);
    }
    for (int64_t h = 0; h < heads; ++h) {
      float total = own ? out_own[row * heads + h] : 0.0f;
      for (int64_t k = first + h; k < last; k += heads) total += out[k];
      const float share = 1.0f / total;
      for (int64_t k = first + h; k < last; k += heads) out[k] *= share;
      if (own) out_own[row * heads + h] *= share;
    }
  }
}

// The gradient of `softmax_rows`: ds = p (g - sum over the row of p g).
JGC_CLONES void softmax_gradient_rows(Rows rows, const float* p, const float* p_own, const float* g,
                                      const float* g_own, int64_t heads, float* ds, float* d_own,
                                      int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    const int64_t first = rows.indptr[row] * heads, last = rows.indptr[row + 1] * heads;
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t i = row * heads + h;
      float mean = p_own ? p_own[i] * g_own[i] : 0.0f;
      for (int64_t j = first + h; j < last; j += heads) mean += p[j] * g[j];
      for (int64_t j = first + h; j < last; j += heads) ds[j] = p[j] * (g[j] - mean);
      if (p_own) d_own[i] = p_own[i] * (g_own[i] - mean);
    }
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_ENTRIES_H_
