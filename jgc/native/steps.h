// What follows a sum, done before it goes back to memory.

#ifndef JGC_NATIVE_STEPS_H_
#define JGC_NATIVE_STEPS_H_

#include <algorithm>
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

JGC_INLINE bool has_columns(Step step) {
  return step == Step::kTimesColumn || step == Step::kPlusColumn;
}

// The steps of one call, in turn: which, and its table.
struct Steps {
  const int32_t* names;
  const float* const* tables;
  int64_t n;
};

template <int N>
JGC_INLINE Lanes<float, N> clipped(Lanes<float, N> t, float low, float high) {
  t = t < low ? low - Lanes<float, N>{} : t;
  return t > high ? high - Lanes<float, N>{} : t;
}

// The nearest of the whole numbers low..high, halves to even, as XLA does: adding and taking away
// 1.5 * 2^23 rounds all that a grid of bytes can hold, so what lies beyond is clipped first.
template <int N>
JGC_INLINE Lanes<float, N> rounded(Lanes<float, N> t, float low, float high) {
  return (clipped<N>(t, low, high) + 12582912.0f) - 12582912.0f;
}

// One step of some vectors: `all(change)` puts `change(t, row, column)` in the place of each vector
// t of N numbers, where `column()` are the numbers of the table for its columns.
template <int N = 16, typename All>
JGC_INLINE void one_step(Step step, const float* table, const All& all) {
  using Values = Lanes<float, N>;
  auto on_grid = [&](Values t) __attribute__((always_inline)) {
    return rounded<N>(t * table[0], table[1], table[2]);
  };
  switch (step) {
    case Step::kTimesRow:
      return all([&](Values t, int64_t row, auto) __attribute__((always_inline)) {
        return t * table[row];
      });
    case Step::kTimesColumn:
      return all([](Values t, int64_t, auto column) __attribute__((always_inline)) {
        return t * column();
      });
    case Step::kPlusColumn:
      return all([](Values t, int64_t, auto column) __attribute__((always_inline)) {
        return t + column();
      });
    case Step::kTimes:
      return all([&](Values t, int64_t, auto) __attribute__((always_inline)) {
        return t * table[0];
      });
    case Step::kRelu:
      return all([](Values t, int64_t, auto) __attribute__((always_inline)) {
        return t > 0.0f ? t : Values{};
      });
    case Step::kGrid:
      return all([&](Values t, int64_t, auto) __attribute__((always_inline)) {
        return on_grid(t) * table[3];
      });
    case Step::kCodes:
      return all([&](Values t, int64_t, auto) __attribute__((always_inline)) {
        return on_grid(t) + table[3];
      });
  }
}

// 16 K values of a row, from column `at` on, through all steps and to `to`; `there(k)` of the k-th 16
// are there.
template <int K, typename Out, typename There>
JGC_INLINE void finish_vectors(const Steps& steps, Lanes<float, 16> (&t)[K], int64_t row, int64_t at,
                               const There& there, Out* to) {
  for (int64_t i = 0; i < steps.n; ++i) {
    const float* table = steps.tables[i];
    one_step(static_cast<Step>(steps.names[i]), table, [&](auto change)
             __attribute__((always_inline)) {
      each<K>([&](auto k) __attribute__((always_inline)) {
        t[k] = change(t[k], row, [&]() __attribute__((always_inline)) {
          return load<16>(table + at + 16 * k, there(k));
        });
      });
    });
  }
  each<K>([&](auto k) __attribute__((always_inline)) {
    if constexpr (std::is_same_v<Out, float>) {
      store<16>(to + 16 * k, t[k], there(k));
    } else {
      const auto whole = __builtin_convertvector(t[k], Lanes<int32_t, 16>);
      store<16>(to + 16 * k, __builtin_convertvector(whole, Lanes<uint8_t, 16>), there(k));
    }
  });
}

// The same where `n` of the 16 K are there.
template <int K, typename Out>
JGC_INLINE void finish(const Steps& steps, Lanes<float, 16> (&t)[K], int64_t row, int64_t at, int n,
                       Out* to) {
  if (n == 16 * K) {
    finish_vectors<K>(steps, t, row, at, [](int) __attribute__((always_inline)) { return 16; }, to);
  } else {
    finish_vectors<K>(steps, t, row, at, [n](int k) __attribute__((always_inline)) {
      return std::clamp(n - 16 * k, 0, 16);
    }, to);
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_STEPS_H_
