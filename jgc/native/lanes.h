// Vectors of N numbers, in the compiler's own vector types: one source for every machine.

#ifndef JGC_NATIVE_LANES_H_
#define JGC_NATIVE_LANES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

// Every kernel is compiled once a level of x86-64; the loader picks the best that a machine has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__)
#define JGC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define JGC_CLONES
#endif
// Templates are inlined into the clones that call them, and so are compiled for each.
#define JGC_INLINE inline __attribute__((always_inline))

namespace jgc {

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
  std::memcpy(to, &values, (n == N ? N : n) * sizeof(T));
}

template <int N>
JGC_INLINE float sum_of(Lanes<float, N> values) {
  float total = 0;
  for (int i = 0; i < N; ++i) total += values[i];
  return total;
}

}  // namespace jgc

#endif  // JGC_NATIVE_LANES_H_
