// What follows a sum, done before it leaves the registers.

#ifndef JGC_NATIVE_STEPS_H_
#define JGC_NATIVE_STEPS_H_

#include <cstdint>
#include <type_traits>

#include "lanes.h"

namespace jgc {

// What happens to a sum before it is written. `jgc/graph/steps.py` has the same list.
enum class Step : int32_t {
  kTimesRow,    // t *= table[row]
  kTimesColumn, // t *= table[column]
  kPlusColumn,  // t += table[column]
  kTimes,       // t *= table[0]
  kRelu,        // t = max(t, 0)
  kGrid,        // t = (clip(round(t * table[0]), table[1], table[2])) * table[3]
  kCodes,       // t = clip(round(t * table[0]), table[1], table[2]) + table[3], the last step
};

// The steps of one call. A table lies at `tables + offset`.
struct Steps {
  const int32_t* list;  // [n, 2]: which, and where its table begins
  int64_t n;
  const float* tables;
};

template <int N>
JGC_INLINE Lanes<float, N> rounded(Lanes<float, N> t) {
  // Adding and taking away 1.5 * 2^23 rounds to the nearest, halves to even, as XLA does, for all
  // that a grid of bytes can hold; what lies beyond is clipped first.
  t = t > 4.0e6f ? 4.0e6f - Lanes<float, N>{} : t;
  t = t < -4.0e6f ? -4.0e6f - Lanes<float, N>{} : t;
  return (t + 12582912.0f) - 12582912.0f;
}

template <int N>
JGC_INLINE Lanes<float, N> clipped(Lanes<float, N> t, float low, float high) {
  t = t < low ? low - Lanes<float, N>{} : t;
  return t > high ? high - Lanes<float, N>{} : t;
}

// 16 K values of a row, from column `at` on, of which `n` are there, through all steps and to `to`.
template <int K, typename Out>
JGC_INLINE void finish(const Steps& steps, Lanes<float, 16> (&t)[K], int64_t row, int64_t at, int n,
                       Out* to) {
  const int n_last = n - 16 * (K - 1);
  auto all = [&](auto change) __attribute__((always_inline)) {
    for (int k = 0; k < K; ++k) change(k);
  };
  for (int64_t i = 0; i < steps.n; ++i) {
    const float* table = steps.tables + steps.list[2 * i + 1];
    auto column = [&](int k) __attribute__((always_inline)) {
      return load<16>(table + at + 16 * k, k + 1 < K ? 16 : n_last);
    };
    auto on_grid = [&](int k) __attribute__((always_inline)) {
      return clipped<16>(rounded<16>(t[k] * table[0]), table[1], table[2]);
    };
    switch (static_cast<Step>(steps.list[2 * i])) {
      case Step::kTimesRow:
        all([&](int k) __attribute__((always_inline)) { t[k] *= table[row]; });
        break;
      case Step::kTimesColumn:
        all([&](int k) __attribute__((always_inline)) { t[k] *= column(k); });
        break;
      case Step::kPlusColumn:
        all([&](int k) __attribute__((always_inline)) { t[k] += column(k); });
        break;
      case Step::kTimes:
        all([&](int k) __attribute__((always_inline)) { t[k] *= table[0]; });
        break;
      case Step::kRelu:
        all([&](int k) __attribute__((always_inline)) {
          t[k] = t[k] > 0.0f ? t[k] : Lanes<float, 16>{};
        });
        break;
      case Step::kGrid:
        all([&](int k) __attribute__((always_inline)) { t[k] = on_grid(k) * table[3]; });
        break;
      case Step::kCodes:
        all([&](int k) __attribute__((always_inline)) { t[k] = on_grid(k) + table[3]; });
        break;
    }
  }
  for (int k = 0; k < K; ++k) {
    const int here = k + 1 < K ? 16 : n_last;
    if constexpr (std::is_same_v<Out, float>) {
      store<16>(to + 16 * k, t[k], here);
    } else {
      const auto whole = __builtin_convertvector(t[k], Lanes<int32_t, 16>);
      store<16>(to + 16 * k, __builtin_convertvector(whole, Lanes<uint8_t, 16>), here);
    }
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_STEPS_H_
