// Sums and products of bytes that leave the registers as bytes again.
//
// A network in integers is a chain: sum bytes in 32 bits, scale, shift, clip, round to bytes. Done
// one after the other in memory the steps cost more than the sums. Here each row's sums pass
// through the steps before they are written.

#ifndef JGC_NATIVE_BYTES_H_
#define JGC_NATIVE_BYTES_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "product.h"
#include "steps.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace jgc {

JGC_INLINE Lanes<float, 16> to_floats(Lanes<int32_t, 16> sums) {
  return __builtin_convertvector(sums, Lanes<float, 16>);
}

// Sums of unsigned bytes over the entries of a row, and the row itself as often as `own` says.
template <typename Out>
struct ByteSums {
  Rows rows;
  const int32_t* cols;
  const float* own;  // [n_row], or null
  const uint8_t* x;
  const uint8_t* x_end;
  int64_t width;
  int32_t zero;  // the code of 0
  Steps steps;
  Out* y;
};

// Values of even and of odd columns side by side again, 16 columns from `half` of the 32 on.
JGC_INLINE Lanes<float, 16> side_by_side(Lanes<float, 16> even, Lanes<float, 16> odd, bool upper) {
  const auto low = __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                           22, 7, 23);
  const auto high = __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                            29, 14, 30, 15, 31);
  return upper ? high : low;
}

// Columns [at, at + 32 K) of one row, of which `n` are there: 32 bytes are 16 pairs of neighbours.
template <int K, typename Out>
JGC_INLINE void byte_sums(const ByteSums<Out>& g, int64_t row, int64_t at, int n) {
  using Wide = Lanes<int32_t, 16>;
  using Pairs = Lanes<uint16_t, 16>;
  const int64_t first = g.rows.indptr[row], last = g.rows.indptr[row + 1],
                end = g.rows.n_entry();
  auto pairs_at = [&](int64_t i, int k) __attribute__((always_inline)) {
    Pairs raw = {};
    const uint8_t* from = g.x + i * g.width + at;
    const bool is_whole = from + 32 * K <= g.x_end || n >= 32 * (k + 1);
    std::memcpy(&raw, from + 32 * k, is_whole ? 32 : std::max(0, n - 32 * k));
    return raw;
  };
  const int32_t shift = -g.zero * static_cast<int32_t>(last - first);
  Wide even[K], odd[K];
#pragma GCC unroll 2
  for (int k = 0; k < K; ++k) even[k] = odd[k] = shift - Wide{};
  for (int64_t e = first; e < last;) {
    Pairs few_even[K] = {}, few_odd[K] = {};
    for (const int64_t stop = std::min(last, e + 256); e < stop; ++e) {
      ask_ahead<32 * K>(g.cols, e, end, g.x + at, g.width);
#pragma GCC unroll 2
      for (int k = 0; k < K; ++k) {
        const Pairs raw = pairs_at(g.cols[e], k);
        few_even[k] += raw & 255;
        few_odd[k] += raw >> 8;
      }
    }
#pragma GCC unroll 2
    for (int k = 0; k < K; ++k) {
      even[k] += __builtin_convertvector(few_even[k], Wide);
      odd[k] += __builtin_convertvector(few_odd[k], Wide);
    }
  }
  Lanes<float, 16> t[2 * K];
#pragma GCC unroll 2
  for (int k = 0; k < K; ++k) {
    auto evens = to_floats(even[k]), odds = to_floats(odd[k]);
    if (g.own) {
      const Pairs raw = pairs_at(row, k);
      evens += to_floats(__builtin_convertvector(raw & 255, Wide) - g.zero) * g.own[row];
      odds += to_floats(__builtin_convertvector(raw >> 8, Wide) - g.zero) * g.own[row];
    }
    t[2 * k] = side_by_side(evens, odds, false);
    t[2 * k + 1] = side_by_side(evens, odds, true);
  }
  finish<2 * K>(g.steps, t, row, at, n, g.y + row * g.width + at);
}

template <typename Out>
JGC_INLINE void byte_sum_rows(const ByteSums<Out>& g, int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    int64_t at = 0;
    for (; at + 64 <= g.width; at += 64) byte_sums<2>(g, row, at, 64);
    for (; at < g.width; at += 32) {
      byte_sums<1>(g, row, at, static_cast<int>(std::min<int64_t>(32, g.width - at)));
    }
  }
}

// x [n_row, depth] of unsigned bytes times w [depth, width] of signed ones, which is packed as
// [depth / 4, width, 4], both rounded up: to 4 and to 16, with zeros.
template <typename Out>
struct ByteProduct {
  const uint8_t* x;
  int64_t depth;
  const int8_t* w;
  const int32_t* shift;  // [width rounded up]: what the code of 0 adds to each column, taken away
  int64_t width;
  Steps steps;
  Out* y;
};

#if defined(__x86_64__)

#define JGC_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

// As `each`, for what may use these instructions.
template <int N, typename F>
JGC_VNNI JGC_INLINE void each_vnni(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) JGC_VNNI __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

// R rows by 16 T columns: every byte of w that is loaded meets R rows.
template <int R, int T, typename Out>
JGC_VNNI JGC_INLINE void tile(const ByteProduct<Out>& p, int64_t row, int64_t at) {
  const int64_t whole = p.depth / 4 * 4, padded = (p.width + 15) / 16 * 16;
  const uint8_t* x = p.x + row * p.depth;
  const int8_t* w = p.w + 4 * at;
  __m512i sums[R * T];
  each_vnni<R * T>([&](auto i) JGC_VNNI __attribute__((always_inline)) {
    sums[i] = _mm512_loadu_si512(p.shift + at + 16 * (i % T));
  });
  auto add_four = [&](int64_t k, int64_t n_byte) JGC_VNNI __attribute__((always_inline)) {
    __m512i ws[T];
    each_vnni<T>([&](auto t) JGC_VNNI __attribute__((always_inline)) {
      ws[t] = _mm512_loadu_si512(w + k * padded + 64 * t);
    });
    each_vnni<R>([&](auto r) JGC_VNNI __attribute__((always_inline)) {
      int32_t four = 0;
      std::memcpy(&four, x + r * p.depth + k, n_byte);
      const __m512i xs = _mm512_set1_epi32(four);
      each_vnni<T>([&](auto t) JGC_VNNI __attribute__((always_inline)) {
        sums[r * T + t] = _mm512_dpbusd_epi32(sums[r * T + t], xs, ws[t]);
      });
    });
  };
  for (int64_t k = 0; k < whole; k += 4) add_four(k, 4);
  if (whole < p.depth) add_four(whole, p.depth - whole);
  const int n = static_cast<int>(std::min<int64_t>(16 * T, p.width - at));
  each_vnni<R>([&](auto r) JGC_VNNI __attribute__((always_inline)) {
    Lanes<float, 16> all[T];
    each_vnni<T>([&](auto t) JGC_VNNI __attribute__((always_inline)) {
      all[t] = to_floats((Lanes<int32_t, 16>)sums[r * T + t]);
    });
    finish<T>(p.steps, all, row + r, at, n, p.y + (row + r) * p.width + at);
  });
}

template <int R, typename Out>
JGC_VNNI JGC_INLINE void band(const ByteProduct<Out>& p, int64_t row) {
  int64_t at = 0;
  for (; at + 64 <= p.width; at += 64) tile<R, 4>(p, row, at);
  for (; at < p.width; at += 16) tile<R, 1>(p, row, at);
}

template <typename Out>
JGC_VNNI void byte_product_vnni(const ByteProduct<Out>& p, int64_t first_row, int64_t last_row) {
  int64_t row = first_row;
  for (; row + 4 <= last_row; row += 4) band<4>(p, row);
  for (; row < last_row; ++row) band<1>(p, row);
}

inline bool has_vnni() { return __builtin_cpu_supports("avx512vnni"); }

#else

inline bool has_vnni() { return false; }

#endif

// The same without instructions of its own: right everywhere, fast nowhere.
template <typename Out>
void byte_product_plain(const ByteProduct<Out>& p, int64_t first_row, int64_t last_row) {
  const int64_t padded = (p.width + 15) / 16 * 16;
  for (int64_t row = first_row; row < last_row; ++row) {
    for (int64_t at = 0; at < p.width; at += 16) {
      Lanes<int32_t, 16> sums[1];
      std::memcpy(&sums, p.shift + at, sizeof(sums));
      for (int64_t k = 0; k < p.depth; ++k) {
        const int32_t x = p.x[row * p.depth + k];
        const int8_t* w = p.w + k / 4 * 4 * padded + 4 * at + k % 4;
        for (int i = 0; i < 16; ++i) sums[0][i] += x * w[4 * i];
      }
      const int n = static_cast<int>(std::min<int64_t>(16, p.width - at));
      Lanes<float, 16> t[1] = {to_floats(sums[0])};
      finish<1>(p.steps, t, row, at, n, p.y + row * p.width + at);
    }
  }
}

template <typename Out>
void byte_product(const ByteProduct<Out>& p, int64_t first_row, int64_t last_row) {
#if defined(__x86_64__)
  if (has_vnni()) return byte_product_vnni(p, first_row, last_row);
#endif
  byte_product_plain(p, first_row, last_row);
}

}  // namespace jgc

#endif  // JGC_NATIVE_BYTES_H_
