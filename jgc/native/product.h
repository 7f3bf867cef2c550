// Sums and maxima of gathered rows: y[i] = sum over row i's entries e of w[e] x[cols[e]].

#ifndef JGC_NATIVE_PRODUCT_H_
#define JGC_NATIVE_PRODUCT_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "lanes.h"
#include "pool.h"

namespace jgc {

enum class Reduce { kSum, kMax };

// One lane of a gather. `heads` weights an entry, each for `width` of a node's values.
template <typename In, typename Out>
struct Gather {
  Rows rows;
  const int32_t* cols;
  const float* weights;  // [n_entry, heads], or null: all 1
  const In* x;           // [n_col, heads * width]
  const In* x_end;
  int64_t heads;
  int64_t width;
  Out* y;  // [n_row, heads * width]
};

// Asks memory for what an entry some way ahead will read: as far as the nearest cache has room for,
// since a machine whose memory others use too answers late.
constexpr int64_t kBytesAhead = 12288;
constexpr int64_t kMostAhead = 64;

template <int kBytes, typename In>
JGC_INLINE void ask_ahead(const int32_t* cols, int64_t e, int64_t end, const In* x,
                          int64_t stride) {
  constexpr int64_t kAhead = std::min<int64_t>(kMostAhead, std::max<int64_t>(4, kBytesAhead / kBytes));
  if (e + kAhead >= end) return;
  const char* next = reinterpret_cast<const char*>(x + cols[e + kAhead] * stride);
  for (int byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(next + byte);
}

template <Reduce reduce, int N>
JGC_INLINE void take(Lanes<float, N>& into, const Lanes<float, N>& value) {
  if constexpr (reduce == Reduce::kSum) {
    into += value;
  } else {
    // As XLA's: what is no number wins.
    into = ((value > into) | (value != value)) ? value : into;
  }
}

// Columns [at, at + K * N) of one row, N at a time; of the last N only `n_last` are there.
template <Reduce reduce, int K, int N, typename In>
JGC_INLINE void block(const Gather<In, float>& g, int64_t row, int64_t at, int64_t head,
                      int n_last = N) {
  const int64_t stride = g.heads * g.width, first = g.rows.indptr[row],
                last = g.rows.indptr[row + 1], end = g.rows.n_entry();
  const bool empty_or_sum = reduce == Reduce::kSum || first == last;
  const float start = empty_or_sum ? 0.0f : -std::numeric_limits<float>::infinity();
  Lanes<float, N> sums[K] = {};
  for (int k = 0; k < K; ++k) sums[k] += start;
  for (int64_t e = first; e < last; ++e) {
    ask_ahead<K * N * sizeof(In)>(g.cols, e, end, g.x + at, stride);
    const In* from = g.x + g.cols[e] * stride + at;
    // Beyond a row's end lie other rows, whose values land where nobody looks; not so at the end.
    const int safe = from + K * N <= g.x_end ? N : n_last;
    for (int k = 0; k < K; ++k) {
      const auto raw = load<N>(from + k * N, k + 1 < K ? N : safe);
      take<reduce, N>(sums[k], g.weights ? raw * g.weights[e * g.heads + head] : raw);
    }
  }
  for (int k = 0; k < K; ++k) {
    store<N>(g.y + row * stride + at + k * N, sums[k], k + 1 < K ? N : n_last);
  }
}

// Several heads of a multiple of 8 values each, 64 values together: each 8 have one weight.
template <int K, typename In>
JGC_INLINE void head_block(const Gather<In, float>& g, int64_t row, int64_t at) {
  const int64_t stride = g.heads * g.width, end = g.rows.n_entry();
  Lanes<float, 8> sums[K] = {};
  int64_t head[K];
  for (int k = 0; k < K; ++k) head[k] = (at + 8 * k) / g.width;
  for (int64_t e = g.rows.indptr[row]; e < g.rows.indptr[row + 1]; ++e) {
    ask_ahead<K * 8 * sizeof(In)>(g.cols, e, end, g.x + at, stride);
    const In* from = g.x + g.cols[e] * stride + at;
    for (int k = 0; k < K; ++k) {
      sums[k] += load<8>(from + 8 * k) * g.weights[e * g.heads + head[k]];
    }
  }
  for (int k = 0; k < K; ++k) store<8>(g.y + row * stride + at + 8 * k, sums[k]);
}

// Sums of N bytes of each row, exact. Two neighbours share a 16-bit lane of the machine, one after
// the other, and 16 bits hold 256 values of a byte: half the work of widening each to 32 bits.
template <int N>
JGC_INLINE void byte_block(const Gather<int8_t, int32_t>& g, int64_t row, int64_t at,
                           int n_last = N) {
  using Wide = Lanes<int32_t, N / 2>;
  using Pairs = Lanes<int16_t, N / 2>;
  const int64_t stride = g.heads * g.width, last = g.rows.indptr[row + 1], end = g.rows.n_entry();
  Wide even = {}, odd = {};
  for (int64_t e = g.rows.indptr[row]; e < last;) {
    Pairs few_even = {}, few_odd = {};
    for (const int64_t stop = std::min(last, e + 256); e < stop; ++e) {
      ask_ahead<N>(g.cols, e, end, g.x + at, stride);
      const int8_t* from = g.x + g.cols[e] * stride + at;
      Pairs raw = {};
      std::memcpy(&raw, from, from + N <= g.x_end ? N : n_last);
      few_even += (raw << 8) >> 8;
      few_odd += raw >> 8;
    }
    even += __builtin_convertvector(few_even, Wide);
    odd += __builtin_convertvector(few_odd, Wide);
  }
  int32_t both[N];
  for (int i = 0; i < N / 2; ++i) both[2 * i] = even[i], both[2 * i + 1] = odd[i];
  std::memcpy(g.y + row * stride + at, both, n_last * sizeof(int32_t));
}

// Weighted sums of N bytes of each row; four neighbours share a 32-bit lane.
template <int N>
JGC_INLINE void byte_block(const Gather<int8_t, float>& g, int64_t row, int64_t at, int64_t head,
                           int n_last = N) {
  using Fours = Lanes<int32_t, N / 4>;
  const int64_t stride = g.heads * g.width, end = g.rows.n_entry();
  Lanes<float, N / 4> sums[4] = {};
  for (int64_t e = g.rows.indptr[row]; e < g.rows.indptr[row + 1]; ++e) {
    ask_ahead<N>(g.cols, e, end, g.x + at, stride);
    const int8_t* from = g.x + g.cols[e] * stride + at;
    const float weight = g.weights ? g.weights[e * g.heads + head] : 1.0f;
    Fours raw = {};
    std::memcpy(&raw, from, from + N <= g.x_end ? N : n_last);
    for (int k = 0; k < 4; ++k) {
      const Fours bytes = (raw << (24 - 8 * k)) >> 24;
      sums[k] += __builtin_convertvector(bytes, Lanes<float, N / 4>) * weight;
    }
  }
  float all[N];
  for (int i = 0; i < N; ++i) all[i] = sums[i % 4][i / 4];
  std::memcpy(g.y + row * stride + at, all, n_last * sizeof(float));
}

JGC_INLINE void gather_bytes(const Gather<int8_t, int32_t>& g, int64_t first_row,
                             int64_t last_row) {
  const int64_t stride = g.heads * g.width;
  for (int64_t row = first_row; row < last_row; ++row) {
    int64_t at = 0;
    for (; at + 64 <= stride; at += 64) byte_block<64>(g, row, at);
    for (; at + 16 <= stride; at += 16) byte_block<16>(g, row, at);
    if (at < stride) byte_block<16>(g, row, at, int(stride - at));
  }
}

JGC_INLINE void gather_bytes(const Gather<int8_t, float>& g, int64_t first_row, int64_t last_row) {
  const int64_t heads = g.weights ? g.heads : 1, width = g.heads * g.width / heads;
  for (int64_t row = first_row; row < last_row; ++row) {
    for (int64_t head = 0; head < heads; ++head) {
      int64_t at = head * width;
      const int64_t stop = at + width;
      for (; at + 64 <= stop; at += 64) byte_block<64>(g, row, at, head);
      for (; at + 16 <= stop; at += 16) byte_block<16>(g, row, at, head);
      if (at < stop) byte_block<16>(g, row, at, head, int(stop - at));
    }
  }
}

template <Reduce reduce, typename In>
JGC_INLINE void gather_rows(const Gather<In, float>& g, int64_t first_row, int64_t last_row) {
  const int64_t stride = g.heads * g.width;
  for (int64_t row = first_row; row < last_row; ++row) {
    if constexpr (reduce == Reduce::kSum) {
      if (g.weights && g.heads > 1 && g.width % 8 == 0 && g.width < 64) {
        int64_t at = 0;
        for (; at + 64 <= stride; at += 64) head_block<8>(g, row, at);
        for (; at < stride; at += 8) head_block<1>(g, row, at);
        continue;
      }
    }
    // Without weights the heads of a node are one long row.
    const int64_t heads = g.weights ? g.heads : 1, width = stride / heads;
    for (int64_t head = 0; head < heads; ++head) {
      int64_t at = head * width;
      const int64_t stop = at + width;
      for (; at + 64 <= stop; at += 64) block<reduce, 4, 16>(g, row, at, head);
      for (; at + 32 <= stop; at += 32) block<reduce, 2, 16>(g, row, at, head);
      for (; at + 16 <= stop; at += 16) block<reduce, 1, 16>(g, row, at, head);
      if (stop - at > 8) block<reduce, 1, 16>(g, row, at, head, int(stop - at));
      else if (stop > at) block<reduce, 1, 8>(g, row, at, head, int(stop - at));
    }
  }
}

}  // namespace jgc

#endif  // JGC_NATIVE_PRODUCT_H_
