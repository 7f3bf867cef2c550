// Vectors of N numbers, in the compiler's own vector types: one source for every machine.

#ifndef JGC_NATIVE_LANES_H_
#define JGC_NATIVE_LANES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

// Every kernel is compiled once a level of x86-64; the loader picks the best that a machine has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define JGC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define JGC_CLONES
#endif
// Templates are inlined into the clones that call them, and so are compiled for each.
#define JGC_INLINE inline __attribute__((always_inline))

namespace jgc {

// f(0), f(1) ... f(N - 1), each with a number that the compiler knows: what is indexed by it can stay
// in registers, which an array that a loop runs over may not.
template <int N, typename F>
JGC_INLINE void each(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

struct BFloat16 {
  uint16_t bits;
};

template <typename T, int N>
struct LanesOf {
  typedef T type __attribute__((vector_size(sizeof(T) * N)));
};
template <typename T, int N>
using Lanes = typename LanesOf<T, N>::type;

// The first `n` of N values, as float; the others are 0.
template <int N, typename In>
JGC_INLINE Lanes<float, N> load(const In* from, int n = N) {
  using Stored = std::conditional_t<std::is_same_v<In, BFloat16>, uint16_t, In>;
  Lanes<Stored, N> raw = {};
  if (n == N) {
    std::memcpy(&raw, from, sizeof(raw));
  } else {
    std::memcpy(&raw, from, n * sizeof(In));
  }
  if constexpr (std::is_same_v<In, BFloat16>) {
    return std::bit_cast<Lanes<float, N>>(__builtin_convertvector(raw, Lanes<uint32_t, N>) << 16);
  } else {
    return raw;
  }
}

template <int N, typename T>
JGC_INLINE void store(T* to, const Lanes<T, N>& values, int n = N) {
  if (n == N) {
    std::memcpy(to, &values, sizeof(values));
  } else {
    std::memcpy(to, &values, n * sizeof(T));
  }
}

// Halves are added to halves: as many steps as N has bits.
template <int N>
JGC_INLINE float sum_of(const Lanes<float, N>& values) {
  Lanes<float, N / 2> low, high;
  std::memcpy(&low, &values, sizeof(low));
  std::memcpy(&high, reinterpret_cast<const char*>(&values) + sizeof(low), sizeof(high));
  const Lanes<float, N / 2> both = low + high;
  if constexpr (N == 2) return both[0];
  else return sum_of<N / 2>(both);
}

// The first and the second halves of two vectors, value by value in turn: a0 b0 a1 b1 ...
template <int N>
JGC_INLINE void zip(const Lanes<float, N>& a, const Lanes<float, N>& b, Lanes<float, N>& low,
                    Lanes<float, N>& high) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    low = __builtin_shufflevector(a, b, (I / 2 + I % 2 * N)...);
    high = __builtin_shufflevector(a, b, (I / 2 + I % 2 * N + N / 2)...);
  }(std::make_integer_sequence<int, N>{});
}

// Turns a block of 16 x 16 values around its diagonal: four perfect shuffles of its rows.
JGC_INLINE void transpose(Lanes<float, 16> block[16]) {
  Lanes<float, 16> other[16];
  for (int twice = 0; twice < 2; ++twice) {
    for (int i = 0; i < 8; ++i) zip<16>(block[i], block[i + 8], other[2 * i], other[2 * i + 1]);
    for (int i = 0; i < 8; ++i) zip<16>(other[i], other[i + 8], block[2 * i], block[2 * i + 1]);
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_LANES_H_
