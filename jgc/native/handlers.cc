// What XLA calls. Every array has a leading axis of lanes: as many as the result has, or 1.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bytes.h"
#include "entries.h"
#include "fused.h"
#include "gradients.h"
#include "product.h"
#include "right.h"
#include "xla/ffi/api/ffi.h"

namespace jgc {
namespace {

namespace ffi = xla::ffi;
using Floats = ffi::Buffer<ffi::F32>;
using Ints = ffi::Buffer<ffi::S32>;
using FloatsOut = ffi::Result<Floats>;

Rows rows_of(const Ints& indptr) {
  return Rows{indptr.typed_data(), static_cast<int64_t>(indptr.element_count()) - 1};
}

// A lane's part of an array; an array of one lane serves all, and an empty one is none.
template <typename T>
T* part(T* data, int64_t size, int64_t n_lane, int64_t lane) {
  if (size == 0) return nullptr;
  return n_lane == 1 ? data : data + size / n_lane * lane;
}
const float* part(const Floats& a, int64_t lane) {
  return part(a.typed_data(), a.element_count(), a.dimensions()[0], lane);
}
float* part(FloatsOut& a, int64_t lane) {
  return part(a->typed_data(), a->element_count(), a->dimensions()[0], lane);
}

JGC_CLONES void sum_f32(const Gather<float, float>& g, int64_t a, int64_t b) {
  gather_rows<Reduce::kSum>(g, a, b);
}
JGC_CLONES void sum_bf16(const Gather<BFloat16, float>& g, int64_t a, int64_t b) {
  gather_rows<Reduce::kSum>(g, a, b);
}
JGC_CLONES void sum_s8(const Gather<int8_t, int32_t>& g, int64_t a, int64_t b) {
  gather_bytes(g, a, b);
}
JGC_CLONES void weighted_s8(const Gather<int8_t, float>& g, int64_t a, int64_t b) {
  gather_bytes(g, a, b);
}
JGC_CLONES void max_f32(const Gather<float, float>& g, int64_t a, int64_t b) {
  gather_rows<Reduce::kMax>(g, a, b);
}

// weights: [lanes, n_entry or 0, heads], x: [lanes, n_col, heads, width], y likewise.
template <typename In, typename Out, typename Kernel>
ffi::Error gather(ffi::ThreadPool& pool, const Ints& indptr, const Ints& cols, const Floats* weights,
                  const ffi::AnyBuffer& x, ffi::Result<ffi::AnyBuffer>& y, Kernel kernel) {
  const auto dims = x.dimensions();
  const Rows rows = rows_of(indptr);
  const int64_t x_size = x.element_count(), y_size = y->element_count();
  const int64_t n_lane = y->dimensions()[0];
  over_rows(pool, n_lane, rows, dims[2] * dims[3], [&](int64_t lane, int64_t a, int64_t b) {
    const In* from = part(reinterpret_cast<const In*>(x.untyped_data()), x_size, dims[0], lane);
    Out* to = part(reinterpret_cast<Out*>(y->untyped_data()), y_size, n_lane, lane);
    const float* w = weights ? part(*weights, lane) : nullptr;
    kernel(Gather<In, Out>{rows, cols.typed_data(), w, from, from + x_size / dims[0], dims[2],
                           dims[3], to},
           a, b);
  });
  return ffi::Error::Success();
}

ffi::Error product(ffi::ThreadPool pool, Ints indptr, Ints cols, Floats weights, ffi::AnyBuffer x,
                   ffi::Result<ffi::AnyBuffer> y) {
  auto run = [&]<typename In, typename Out>(In, Out, auto kernel) {
    return gather<In, Out>(pool, indptr, cols, &weights, x, y, kernel);
  };
  const bool to_float = y->element_type() == ffi::F32;
  if (x.element_type() == ffi::F32 && to_float) return run(float{}, float{}, sum_f32);
  if (x.element_type() == ffi::BF16 && to_float) return run(BFloat16{}, float{}, sum_bf16);
  if (x.element_type() == ffi::S8 && to_float) return run(int8_t{}, float{}, weighted_s8);
  if (x.element_type() == ffi::S8 && y->element_type() == ffi::S32 && !weights.element_count()) {
    return run(int8_t{}, int32_t{}, sum_s8);
  }
  return ffi::Error::InvalidArgument("jgc_product: no kernel for these types");
}

ffi::Error largest(ffi::ThreadPool pool, Ints indptr, Ints cols, ffi::AnyBuffer x,
                   ffi::Result<ffi::AnyBuffer> y) {
  if (x.element_type() != ffi::F32 || y->element_type() != ffi::F32) {
    return ffi::Error::InvalidArgument("jgc_max: float32 only");
  }
  return gather<float, float>(pool, indptr, cols, nullptr, x, y, max_f32);
}

// a: [lanes, n_row, heads, width], b: [lanes, n_col, heads, width], out: [lanes, n_entry, heads].
ffi::Error dots(ffi::ThreadPool pool, Ints indptr, Ints cols, Floats a, Floats b, FloatsOut out) {
  const int64_t heads = a.dimensions()[2], width = a.dimensions()[3];
  const Rows rows = rows_of(indptr);
  over_rows(pool, out->dimensions()[0], rows, heads * width,
            [&](int64_t lane, int64_t first, int64_t last) {
              dots_of_ends(rows, cols.typed_data(), part(a, lane), part(b, lane), heads, width,
                           part(out, lane), first, last);
            });
  return ffi::Error::Success();
}

// The pattern is by columns. weights: [lanes, n_entry, heads] in its order, dy: [lanes, n_row, heads,
// width], x and dx: [lanes, n_col, heads, width], dw: [lanes, n_entry, heads] in the order of rows.
ffi::Error product_gradients(ffi::ThreadPool pool, Ints indptr, Ints cols, Ints order, Floats weights,
                            Floats dy, Floats x, FloatsOut dx, FloatsOut dw) {
  const auto dims = dy.dimensions();
  const int64_t heads = dims[2], width = dims[3], dy_size = dy.element_count() / dims[0];
  const Rows rows = rows_of(indptr);
  if (width == 0) std::fill_n(dw->typed_data(), dw->element_count(), 0.0f);
  over_rows(pool, dx->dimensions()[0], rows, 2 * heads * width,
            [&](int64_t lane, int64_t first, int64_t last) {
              const float* from = part(dy, lane);
              const Gather<float, float> of_x{rows, cols.typed_data(), part(weights, lane), from,
                                              from + dy_size, heads, width, part(dx, lane)};
              gradients_of_columns({of_x, part(x, lane), order.typed_data(), part(dw, lane)}, first,
                                  last);
            });
  return ffi::Error::Success();
}

// weights: [lanes, n_entry], x: [lanes, n, n_col], y: [lanes, n, n_row].
ffi::Error right_product(ffi::ThreadPool pool, Ints indptr, Ints cols, Floats weights, Floats x,
                         FloatsOut y) {
  const int64_t n = x.dimensions()[1], n_col = x.dimensions()[2], n_lane = y->dimensions()[0];
  const int64_t tiles = (n + kTile - 1) / kTile;
  const Rows rows = rows_of(indptr);
  in_pieces(pool, n_lane * tiles, n_lane * n * rows.n_entry(), [&](int64_t a, int64_t b) {
    for (int64_t i = a; i < b; ++i) {
      const int64_t lane = i / tiles, tile = i % tiles;
      right_product_tile(rows, cols.typed_data(), part(weights, lane), part(x, lane), n, n_col,
                         part(y, lane), tile * kTile);
    }
  });
  return ffi::Error::Success();
}

// a: [lanes, n, n_row], b: [lanes, n, n_col], out: [lanes, n_entry].
ffi::Error right_dots(ffi::ThreadPool pool, Ints indptr, Ints cols, Floats a, Floats b,
                      FloatsOut out) {
  const int64_t n = b.dimensions()[1], n_col = b.dimensions()[2];
  const Rows rows = rows_of(indptr);
  over_rows(pool, out->dimensions()[0], rows, n, [&](int64_t lane, int64_t first, int64_t last) {
    right_dots_of_rows(rows, cols.typed_data(), part(a, lane), part(b, lane), n, n_col,
                       part(out, lane), first, last);
  });
  return ffi::Error::Success();
}

JGC_CLONES void sum_entries(Rows rows, const float* v, int64_t width, float* out, int64_t a,
                            int64_t b) {
  reduce_entries<Reduce::kSum>(rows, v, width, out, a, b);
}
JGC_CLONES void max_entries(Rows rows, const float* v, int64_t width, float* out, int64_t a,
                            int64_t b) {
  reduce_entries<Reduce::kMax>(rows, v, width, out, a, b);
}

// v: [lanes, n_entry, width], out: [lanes, n_row, width].
template <typename Kernel>
ffi::Error reduce(ffi::ThreadPool& pool, const Ints& indptr, const Floats& v, FloatsOut& out,
                  Kernel kernel) {
  const int64_t width = v.dimensions()[2];
  const Rows rows = rows_of(indptr);
  over_rows(pool, v.dimensions()[0], rows, width, [&](int64_t lane, int64_t a, int64_t b) {
    kernel(rows, part(v, lane), width, part(out, lane), a, b);
  });
  return ffi::Error::Success();
}

ffi::Error entry_sum(ffi::ThreadPool pool, Ints indptr, Floats v, FloatsOut out) {
  return reduce(pool, indptr, v, out, sum_entries);
}
ffi::Error entry_max(ffi::ThreadPool pool, Ints indptr, Floats v, FloatsOut out) {
  return reduce(pool, indptr, v, out, max_entries);
}

// A softmax costs about as much as this many multiplications a score.
constexpr int64_t kSoftmaxCost = 8;

// scores: [lanes, n_entry, heads], own: [lanes, n_row or 0, heads].
ffi::Error softmax(ffi::ThreadPool pool, Ints indptr, Floats scores, Floats own, FloatsOut p,
                   FloatsOut p_own) {
  const int64_t heads = scores.dimensions()[2];
  const Rows rows = rows_of(indptr);
  over_rows(pool, p->dimensions()[0], rows, kSoftmaxCost * heads,
            [&](int64_t lane, int64_t a, int64_t b) {
              softmax_rows(rows, part(scores, lane), part(own, lane), heads, part(p, lane),
                           part(p_own, lane), a, b);
            });
  return ffi::Error::Success();
}

ffi::Error softmax_gradient(ffi::ThreadPool pool, Ints indptr, Floats p, Floats p_own, Floats g,
                            Floats g_own, FloatsOut ds, FloatsOut d_own) {
  const int64_t heads = p.dimensions()[2];
  const Rows rows = rows_of(indptr);
  over_rows(pool, ds->dimensions()[0], rows, kSoftmaxCost * heads,
            [&](int64_t lane, int64_t a, int64_t b) {
              softmax_gradient_rows(rows, part(p, lane), part(p_own, lane), part(g, lane),
                                    part(g_own, lane), heads, part(ds, lane), part(d_own, lane), a,
                                    b);
            });
  return ffi::Error::Success();
}

JGC_CLONES void byte_sums_to_bytes(const ByteSums<uint8_t>& g, int64_t a, int64_t b) {
  byte_sum_rows(g, a, b);
}
JGC_CLONES void byte_sums_to_floats(const ByteSums<float>& g, int64_t a, int64_t b) {
  byte_sum_rows(g, a, b);
}

using Bytes = ffi::Buffer<ffi::U8>;
using SignedBytes = ffi::Buffer<ffi::S8>;

// The names of a call's steps are an attribute, their tables its last arguments.
using Names = ffi::Span<const int32_t>;

struct CallSteps {
  Names names;
  std::vector<const float*> tables;

  CallSteps(Names names, const ffi::RemainingArgs& args) : names(names) {
    for (size_t i = 0; i < names.size(); ++i) tables.push_back(args.get<Floats>(i)->typed_data());
  }
  Steps all() const { return {names.begin(), tables.data(), int64_t(names.size())}; }
};

JGC_CLONES void float_sums_of_rows(const FloatSums& g, int64_t a, int64_t b) {
  float_sum_rows(g, a, b);
}

const float* or_none(const Floats& a) { return a.element_count() ? a.typed_data() : nullptr; }

// weights: [n_entry or 0], x: [n_col, width], own: [n_row or 0], y: [n_row, width].
ffi::Error float_sum(ffi::ThreadPool pool, Ints indptr, Ints cols, Floats weights, Floats x,
                     Floats own, ffi::RemainingArgs tables, Names names, FloatsOut y) {
  const int64_t width = x.dimensions()[1];
  const CallSteps steps(names, tables);
  const FloatSums sums{rows_of(indptr), cols.typed_data(), or_none(weights), or_none(own),
                       x.typed_data(),  x.typed_data() + x.element_count(), width,
                       steps.all(), y->typed_data()};
  over_rows(pool, 1, sums.rows, width,
            [&](int64_t, int64_t a, int64_t b) { float_sums_of_rows(sums, a, b); });
  return ffi::Error::Success();
}

// x: [n_col, width], own: [n_row or 0], zero: [1], y: [n_row, width].
ffi::Error byte_sum(ffi::ThreadPool pool, Ints indptr, Ints cols, Ints zero, Bytes x, Floats own,
                    ffi::RemainingArgs tables, Names names, ffi::Result<ffi::AnyBuffer> y) {
  const CallSteps steps(names, tables);
  const Rows rows = rows_of(indptr);
  const int64_t width = x.dimensions()[1];
  auto run = [&]<typename Out>(Out, auto kernel) {
    over_rows(pool, 1, rows, width, [&](int64_t, int64_t a, int64_t b) {
      kernel(ByteSums<Out>{rows, cols.typed_data(),
                           or_none(own), x.typed_data(),
                           x.typed_data() + x.element_count(), width, zero.typed_data()[0],
                           steps.all(), reinterpret_cast<Out*>(y->untyped_data())},
             a, b);
    });
    return ffi::Error::Success();
  };
  if (y->element_type() == ffi::U8) return run(uint8_t{}, byte_sums_to_bytes);
  if (y->element_type() == ffi::F32) return run(float{}, byte_sums_to_floats);
  return ffi::Error::InvalidArgument("jgc_byte_sum: uint8 or float32 only");
}

// x: [n_row, depth], w: [depth / 4, width rounded up to 16, 4], shift: [width rounded up].
ffi::Error byte_matmul(ffi::ThreadPool pool, Ints shift, Bytes x, SignedBytes w,
                       ffi::RemainingArgs tables, Names names, ffi::Result<ffi::AnyBuffer> y) {
  const CallSteps steps(names, tables);
  const int64_t n_row = x.dimensions()[0], depth = x.dimensions()[1], width = y->dimensions()[1];
  auto run = [&]<typename Out>(Out) {
    const ByteProduct<Out> product{x.typed_data(),    depth,
                                   w.typed_data(),    shift.typed_data(),
                                   width,             steps.all(),
                                   reinterpret_cast<Out*>(y->untyped_data())};
    in_pieces(pool, n_row, n_row * depth * width / 4,
              [&](int64_t a, int64_t b) { byte_product(product, a, b); });
    return ffi::Error::Success();
  };
  if (y->element_type() == ffi::U8) return run(uint8_t{});
  if (y->element_type() == ffi::F32) return run(float{});
  return ffi::Error::InvalidArgument("jgc_byte_matmul: uint8 or float32 only");
}

}  // namespace
}  // namespace jgc

namespace ffi = xla::ffi;
using Floats = ffi::Buffer<ffi::F32>;
using Ints = ffi::Buffer<ffi::S32>;

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_product, jgc::product,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Floats>()
        .Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_max, jgc::largest,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<ffi::AnyBuffer>()
        .Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_dots, jgc::dots,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Floats>().Arg<Floats>()
        .Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_product_gradients, jgc::product_gradients,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Ints>().Arg<Floats>()
        .Arg<Floats>().Arg<Floats>().Ret<Floats>().Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_right_product, jgc::right_product,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Floats>().Arg<Floats>()
        .Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_right_dots, jgc::right_dots,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Floats>().Arg<Floats>()
        .Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_entry_sum, jgc::entry_sum,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Floats>().Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_entry_max, jgc::entry_max,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Floats>().Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_softmax, jgc::softmax,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Floats>().Arg<Floats>().Ret<Floats>()
        .Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_softmax_gradient, jgc::softmax_gradient,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Floats>().Arg<Floats>().Arg<Floats>()
        .Arg<Floats>().Ret<Floats>().Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_float_sum, jgc::float_sum,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Floats>().Arg<Floats>()
        .Arg<Floats>().RemainingArgs().Attr<ffi::Span<const int32_t>>("steps").Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_byte_sum, jgc::byte_sum,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<Ints>().Arg<Ints>()
        .Arg<ffi::Buffer<ffi::U8>>().Arg<Floats>().RemainingArgs()
        .Attr<ffi::Span<const int32_t>>("steps").Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jgc_byte_matmul, jgc::byte_matmul,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Ints>().Arg<ffi::Buffer<ffi::U8>>()
        .Arg<ffi::Buffer<ffi::S8>>().RemainingArgs().Attr<ffi::Span<const int32_t>>("steps")
        .Ret<ffi::AnyBuffer>());
