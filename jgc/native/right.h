// Dense rows times a sparse matrix, y = x A^T, and the gradient of A's entries: rows stay rows.
//
// A tile of rows is turned so that its values of one column lie side by side; then an entry of A
// is one weight for many rows, read once.

#ifndef JGC_NATIVE_RIGHT_H_
#define JGC_NATIVE_RIGHT_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lanes.h"
#include "pool.h"

namespace jgc {

constexpr int64_t kTile = 64;
constexpr int kParts = kTile / 16;

using Part = Lanes<float, 16>;

// Values [first, first + kTile) of `n` rows, turned: [n_col rounded up to 16, kTile]; 0 beyond.
JGC_INLINE void turned(const float* x, int64_t n, int64_t n_col, int64_t first, float* to) {
  for (int64_t col = 0; col < n_col; col += 16) {
    const int width = static_cast<int>(std::min<int64_t>(16, n_col - col));
    for (int p = 0; p < kParts; ++p) {
      Part block[16] = {};
      for (int i = 0; i < 16; ++i) {
        const int64_t row = first + 16 * p + i;
        if (row < n) block[i] = load<16>(x + row * n_col + col, width);
      }
      transpose(block);
      for (int i = 0; i < 16; ++i) store<16>(to + (col + i) * kTile + 16 * p, block[i]);
    }
  }
}

inline int64_t turned_size(int64_t n_col) { return (n_col + 15) / 16 * 16 * kTile; }

// y[r, i] = sum over row i's entries e of w[e] x[r, cols[e]], for the rows of one tile.
JGC_CLONES void right_product_tile(Rows rows, const int32_t* cols, const float* w, const float* x,
                                   int64_t n, int64_t n_col, float* y, int64_t first) {
  std::vector<float> columns(turned_size(n_col));
  turned(x, n, n_col, first, columns.data());
  for (int64_t at = 0; at < rows.n_row; at += 16) {
    const int width = static_cast<int>(std::min<int64_t>(16, rows.n_row - at));
    Part sums[kParts][16] = {};
    for (int i = 0; i < width; ++i) {
      Part own[kParts] = {};
      for (int64_t e = rows.indptr[at + i]; e < rows.indptr[at + i + 1]; ++e) {
        const float* from = columns.data() + cols[e] * kTile;
        for (int p = 0; p < kParts; ++p) own[p] += load<16>(from + 16 * p) * w[e];
      }
      for (int p = 0; p < kParts; ++p) sums[p][i] = own[p];
    }
    for (int p = 0; p < kParts; ++p) {
      transpose(sums[p]);
      for (int i = 0; i < 16 && first + 16 * p + i < n; ++i) {
        store<16>(y + (first + 16 * p + i) * rows.n_row + at, sums[p][i], width);
      }
    }
  }
}

// out[e] = sum over r of a[r, row of e] b[r, cols[e]], for the entries of some rows of the pattern.
JGC_CLONES void right_dots_of_rows(Rows rows, const int32_t* cols, const float* a, const float* b,
                                   int64_t n, int64_t n_col, float* out, int64_t first_row,
                                   int64_t last_row) {
  const int64_t begin = rows.indptr[first_row], end = rows.indptr[last_row];
  std::vector<float> sums((end - begin) * 16), left(turned_size(rows.n_row)),
      right(turned_size(n_col));
  for (int64_t first = 0; first < n; first += kTile) {
    turned(a, n, rows.n_row, first, left.data());
    turned(b, n, n_col, first, right.data());
    for (int64_t row = first_row; row < last_row; ++row) {
      const float* own = left.data() + row * kTile;
      for (int64_t e = rows.indptr[row]; e < rows.indptr[row + 1]; ++e) {
        const float* other = right.data() + cols[e] * kTile;
        float* to = sums.data() + (e - begin) * 16;
        Part sum = load<16>(to);
        for (int p = 0; p < kParts; ++p) sum += load<16>(own + 16 * p) * load<16>(other + 16 * p);
        store<16>(to, sum);
      }
    }
  }
  for (int64_t e = begin; e < end; ++e) out[e] = sum_of<16>(load<16>(sums.data() + (e - begin) * 16));
}

}  // namespace jgc

#endif  // JGC_NATIVE_RIGHT_H_
