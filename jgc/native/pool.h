// Rows of a sparse pattern dealt to the threads that XLA already has.

#ifndef JGC_NATIVE_POOL_H_
#define JGC_NATIVE_POOL_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

namespace jgc {

// Fewer multiplications than this are done before another thread has woken up and been waited for.
constexpr int64_t kWorthSharing = 1 << 22;
// More pieces than threads, so that one that is slow to start delays nobody.
constexpr int64_t kPiecesPerThread = 4;

// Runs `work(first, last)` over pieces of [0, n); `cost` is the number of multiplications in all.
//
// The calling thread takes pieces like all others and waits only for pieces that somebody has
// begun. So nothing waits for a thread of a pool whose threads all wait for each other.
template <typename Work>
void in_pieces(xla::ffi::ThreadPool& pool, int64_t n, int64_t cost, const Work& work) {
  const int64_t n_thread = cost < kWorthSharing ? 1 : pool.num_threads();
  if (n_thread < 2 || n < 2) {
    work(int64_t{0}, n);
    return;
  }
  struct Shared {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    int64_t done = 0;
  };
  const int64_t pieces = std::min(n, n_thread * kPiecesPerThread);
  auto shared = std::make_shared<Shared>();
  // `work` lives on this stack: a thread that comes late finds no piece and never touches it.
  auto take = [shared, pieces, n, &work] {
    for (int64_t i; (i = shared->next.fetch_add(1)) < pieces;) {
      work(n * i / pieces, n * (i + 1) / pieces);
      std::lock_guard<std::mutex> lock(shared->mutex);
      if (++shared->done == pieces) shared->all_done.notify_one();
    }
  };
  for (int64_t i = 1; i < n_thread; ++i) pool.Schedule(decltype(take)(take));
  take();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->done == pieces; });
}

// A pattern's rows: row i owns the entries indptr[i] to indptr[i + 1].
struct Rows {
  const int32_t* indptr;
  int64_t n_row;

  int64_t n_entry() const { return indptr[n_row]; }

  // The first row that begins at or behind a share of the work; a row costs one entry more than
  // it has, so that empty rows count as well.
  int64_t at(int64_t unit) const {
    int64_t low = 0, high = n_row;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (indptr[middle] + middle < unit) low = middle + 1; else high = middle;
    }
    return low;
  }
};

// Runs `work(lane, first_row, last_row)` over all rows of all lanes, in shares of equal work.
template <typename Work>
void over_rows(xla::ffi::ThreadPool& pool, int64_t n_lane, const Rows& rows, int64_t width,
               const Work& work) {
  const int64_t units = rows.n_entry() + rows.n_row;
  in_pieces(pool, n_lane * units, n_lane * units * width, [&](int64_t first, int64_t last) {
    for (int64_t lane = first / units; lane * units < last; ++lane) {
      const int64_t from = std::max(first - lane * units, int64_t{0});
      const int64_t to = std::min(last - lane * units, units);
      work(lane, rows.at(from), rows.at(to));
    }
  });
}

}  // namespace jgc

#endif  // JGC_NATIVE_POOL_H_
