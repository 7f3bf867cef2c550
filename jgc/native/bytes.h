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
#include <vector>

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

// A row's sums are done N columns at a time, in four vectors of which the k-th has the columns
// 4 i + k: four bytes share a 32-bit lane, so that no byte moves before the end. `f(N, at, n)` is
// called for each N columns from `at` on, of which `n` are there.
template <typename F>
JGC_INLINE void in_fours(int64_t width, const F& f) {
  int64_t at = 0;
  for (; at + 64 <= width; at += 64) f(std::integral_constant<int, 64>{}, at, 64);
  for (; at + 16 < width; at += 32) {
    f(std::integral_constant<int, 32>{}, at, static_cast<int>(std::min<int64_t>(32, width - at)));
  }
  if (at < width) f(std::integral_constant<int, 16>{}, at, static_cast<int>(width - at));
}

// The tables of columns in the order in which the four vectors come to them.
struct ColumnsInFours {
  ColumnsInFours(const Steps& steps, int64_t width) {
    const int64_t padded = (width + 15) / 16 * 16;
    values.resize(steps.n * padded);
    for (int64_t i = 0; i < steps.n; ++i) {
      float* to = values.data() + i * padded;
      tables.push_back(to);
      if (!has_columns(static_cast<Step>(steps.names[i]))) continue;
      in_fours(width, [&](auto N, int64_t at, int n) {
        for (int j = 0; j < n; ++j) to[at + j % 4 * (N / 4) + j / 4] = steps.tables[i][at + j];
      });
    }
  }
  std::vector<float> values;
  std::vector<const float*> tables;
};

template <int N, typename Out>
JGC_INLINE void byte_sums(const ByteSums<Out>& g, const float* const* columns, int64_t row,
                          int64_t at, int n) {
  using Pairs = Lanes<uint16_t, N / 2>;
  using Words = Lanes<uint32_t, N / 4>;
  using Signed = Lanes<int32_t, N / 4>;
  using Floats = Lanes<float, N / 4>;
  const int64_t first = g.rows.indptr[row], last = g.rows.indptr[row + 1],
                end = g.rows.n_entry();
  auto bytes_of = [&](int64_t i) __attribute__((always_inline)) {
    Pairs raw = {};
    const uint8_t* from = g.x + i * g.width + at;
    std::memcpy(&raw, from, n == N || from + N <= g.x_end ? N : n);
    return raw;
  };
  const uint32_t shift = -g.zero * static_cast<int32_t>(last - first);
  // Filled without a lambda: gcc would keep the sums in memory for one, turn by turn.
  const Words begin = shift - Words{};
  Words sums[4] = {begin, begin, begin, begin};
  for (int64_t e = first; e < last;) {
    // 16 bits hold 256 values of a byte.
    Pairs even = {}, odd = {};
    for (const int64_t stop = std::min(last, e + 256); e < stop; ++e) {
      ask_ahead<N>(g.cols, e, end, g.x + at, g.width);
      const Pairs raw = bytes_of(g.cols[e]);
      even += raw & 255;
      odd += raw >> 8;
    }
    sums[0] += (Words)even & 0xffff;
    sums[1] += (Words)odd & 0xffff;
    sums[2] += (Words)even >> 16;
    sums[3] += (Words)odd >> 16;
  }
  Floats t[4];
  each<4>([&](auto k) __attribute__((always_inline)) {
    t[k] = __builtin_convertvector((Signed)sums[k], Floats);
  });
  if (g.own) {
    const Words raw = (Words)bytes_of(row);
    each<4>([&](auto k) __attribute__((always_inline)) {
      const Signed steps_from = (Signed)(raw >> 8 * k & 255) - g.zero;
      t[k] += __builtin_convertvector(steps_from, Floats) * g.own[row];
    });
  }
  for (int64_t i = 0; i < g.steps.n; ++i) {
    one_step<N / 4>(static_cast<Step>(g.steps.names[i]), g.steps.tables[i], [&](auto change)
                    __attribute__((always_inline)) {
      each<4>([&](auto k) __attribute__((always_inline)) {
        t[k] = change(t[k], row, [&]() __attribute__((always_inline)) {
          return load<N / 4>(columns[i] + at + k * (N / 4));
        });
      });
    });
  }
  Out* to = g.y + row * g.width + at;
  if constexpr (std::is_same_v<Out, float>) {
    Floats even[2], odd[2], all[4];
    zip<N / 4>(t[0], t[2], even[0], even[1]);
    zip<N / 4>(t[1], t[3], odd[0], odd[1]);
    each<2>([&](auto k) __attribute__((always_inline)) {
      zip<N / 4>(even[k], odd[k], all[2 * k], all[2 * k + 1]);
    });
    each<4>([&](auto k) __attribute__((always_inline)) {
      store<N / 4>(to + k * (N / 4), all[k], std::clamp(n - k * (N / 4), 0, N / 4));
    });
  } else {
    Words codes = {};
    each<4>([&](auto k) __attribute__((always_inline)) {
      codes |= (Words)__builtin_convertvector(t[k], Signed) << 8 * k;
    });
    store<N>(to, (Lanes<uint8_t, N>)codes, n);
  }
}

template <typename Out>
JGC_INLINE void byte_sum_rows(const ByteSums<Out>& g, int64_t first_row, int64_t last_row) {
  const ColumnsInFours columns(g.steps, g.width);
  for (int64_t row = first_row; row < last_row; ++row) {
    in_fours(g.width, [&](auto N, int64_t at, int n) __attribute__((always_inline)) {
      byte_sums<N>(g, columns.tables.data(), row, at, n);
    });
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
  // Of the type that the instruction adds to: gcc moves each sum twice in every turn otherwise.
  Lanes<int32_t, 16> sums[R * T];
  each_vnni<R * T>([&](auto i) JGC_VNNI __attribute__((always_inline)) {
    sums[i] = (Lanes<int32_t, 16>)_mm512_loadu_si512(p.shift + at + 16 * (i % T));
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
        auto& sum = sums[r * T + t];
        sum = (Lanes<int32_t, 16>)_mm512_dpbusd_epi32((__m512i)sum, xs, ws[t]);
      });
    });
  };
  for (int64_t k = 0; k < whole; k += 4) add_four(k, 4);
  if (whole < p.depth) add_four(whole, p.depth - whole);
  const int n = static_cast<int>(std::min<int64_t>(16 * T, p.width - at));
  each_vnni<R>([&](auto r) JGC_VNNI __attribute__((always_inline)) {
    Lanes<float, 16> all[T];
    each_vnni<T>([&](auto t) JGC_VNNI __attribute__((always_inline)) {
      all[t] = to_floats(sums[r * T + t]);
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
