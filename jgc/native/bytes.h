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

template <int K>
JGC_INLINE void to_floats(const Lanes<int32_t, 16> (&sums)[K], Lanes<float, 16> (&t)[K]) {
  for (int k = 0; k < K; ++k) t[k] = __builtin_convertvector(sums[k], Lanes<float, 16>);
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

template <int N>
struct InOrder {
  Lanes<int32_t, 16> parts[N / 16];
};

// Values of even and of odd columns side by side again.
template <int N>
JGC_INLINE InOrder<N> in_order(Lanes<int32_t, N / 2> even, Lanes<int32_t, N / 2> odd) {
  int32_t both[N];
  for (int i = 0; i < N / 2; ++i) both[2 * i] = even[i], both[2 * i + 1] = odd[i];
  InOrder<N> result;
  std::memcpy(&result, both, sizeof(result));
  return result;
}

template <int N, typename Out>
JGC_INLINE void byte_sums(const ByteSums<Out>& g, int64_t row, int64_t at, int n_last) {
  using Wide = Lanes<int32_t, N / 2>;
  using Pairs = Lanes<uint16_t, N / 2>;
  const int64_t first = g.rows.indptr[row], last = g.rows.indptr[row + 1],
                end = g.rows.n_entry();
  auto pairs_at = [&](int64_t i) __attribute__((always_inline)) {
    Pairs raw = {};
    const uint8_t* from = g.x + i * g.width + at;
    std::memcpy(&raw, from, from + N <= g.x_end ? N : n_last);
    return raw;
  };
  const int32_t shift = -g.zero * static_cast<int32_t>(last - first);
  Wide even = shift - Wide{}, odd = shift - Wide{};
  for (int64_t e = first; e < last;) {
    Pairs few_even = {}, few_odd = {};
    for (const int64_t stop = std::min(last, e + 256); e < stop; ++e) {
      ask_ahead<N>(g.cols, e, end, g.x + at, g.width);
      const Pairs raw = pairs_at(g.cols[e]);
      few_even += raw & 255;
      few_odd += raw >> 8;
    }
    even += __builtin_convertvector(few_even, Wide);
    odd += __builtin_convertvector(few_odd, Wide);
  }
  Lanes<float, 16> t[N / 16];
  to_floats<N / 16>(in_order<N>(even, odd).parts, t);
  if (g.own) {
    const Pairs raw = pairs_at(row);
    Lanes<float, 16> own[N / 16];
    to_floats<N / 16>(in_order<N>(__builtin_convertvector(raw & 255, Wide) - g.zero,
                                  __builtin_convertvector(raw >> 8, Wide) - g.zero)
                          .parts,
                      own);
    for (int k = 0; k < N / 16; ++k) t[k] += own[k] * g.own[row];
  }
  finish<N / 16>(g.steps, t, row, at, n_last, g.y + row * g.width + at);
}

template <typename Out>
JGC_INLINE void byte_sum_rows(const ByteSums<Out>& g, int64_t first_row, int64_t last_row) {
  for (int64_t row = first_row; row < last_row; ++row) {
    int64_t at = 0;
    for (; at + 64 <= g.width; at += 64) byte_sums<64>(g, row, at, 64);
    for (; at < g.width; at += 16) {
      byte_sums<16>(g, row, at, static_cast<int>(std::min<int64_t>(16, g.width - at)));
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

// Adds the products of bytes k to k + 3 of R rows, of which `n_byte` are there.
template <int R, int T, typename Out>
JGC_VNNI JGC_INLINE void add_four(const ByteProduct<Out>& p, int64_t row, int64_t at, int64_t k,
                                  int64_t n_byte, __m512i (&sums)[R][T]) {
  const int64_t padded = (p.width + 15) / 16 * 16;
  __m512i w[T];
  for (int t = 0; t < T; ++t) w[t] = _mm512_loadu_si512(p.w + k * padded + 4 * (at + 16 * t));
  for (int r = 0; r < R; ++r) {
    int32_t four = 0;
    std::memcpy(&four, p.x + (row + r) * p.depth + k, n_byte);
    const __m512i x = _mm512_set1_epi32(four);
    for (int t = 0; t < T; ++t) sums[r][t] = _mm512_dpbusd_epi32(sums[r][t], x, w[t]);
  }
}

// R rows by 16 T columns: every byte of w that is loaded meets R rows.
template <int R, int T, typename Out>
JGC_VNNI JGC_INLINE void tile(const ByteProduct<Out>& p, int64_t row, int64_t at) {
  const int64_t whole = p.depth / 4 * 4;
  __m512i sums[R][T];
  for (int t = 0; t < T; ++t) {
    const __m512i shift = _mm512_loadu_si512(p.shift + at + 16 * t);
    for (int r = 0; r < R; ++r) sums[r][t] = shift;
  }
  for (int64_t k = 0; k < whole; k += 4) add_four(p, row, at, k, 4, sums);
  if (whole < p.depth) add_four(p, row, at, whole, p.depth - whole, sums);
  const int n = static_cast<int>(std::min<int64_t>(16 * T, p.width - at));
  for (int r = 0; r < R; ++r) {
    Lanes<int32_t, 16> wide[T];
    std::memcpy(&wide, &sums[r], sizeof(wide));
    Lanes<float, 16> t[T];
    to_floats<T>(wide, t);
    finish<T>(p.steps, t, row + r, at, n, p.y + (row + r) * p.width + at);
  }
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
  for (; row + 6 <= last_row; row += 6) band<6>(p, row);
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
      Lanes<float, 16> t[1];
      to_floats<1>(sums, t);
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
