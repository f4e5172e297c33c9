// Products with one right-hand side many times over, as a recurrent layer makes them at each step.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "framework/base/buffer.h"
#include "framework/tensor/gemm.h"

namespace throng::tensor {

/// A right-hand matrix (k, n) laid out once for many rows. An element of a product is summed over k in order, so its bits
/// depend neither on how many rows are multiplied at a time nor on threads (a BLAS promises neither); they do depend on whether
/// the processor has fused multiply-add. The sum over many rows (a weight gradient) is
/// the work of `outer_products.h`. T is float or double. Multiplying is thread-safe.
template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// From b, (k, n) dense row-major, or with kTransposed (n, k).
  PackedMatrix(Side side, size_t k, size_t n, const T* b) { lay_out(side, k, n, b, side == Side::kPlain ? n : k); }
  /// Another matrix in this one's room: `factor` times b, whose rows lie `ldb` apart.
  void lay_out(Side side, size_t k, size_t n, const T* b, size_t ldb, T factor = 1);
  size_t k() const { return k_; }
  size_t n() const { return n_; }
  /// C (m, n) += A (m, k) * B; dense rows.
  void multiply_add(size_t m, const T* a, T* c) const;
  /// C (m, n) = `row` (n) on each row, + A * B; as if C had begun so.
  void multiply(size_t m, const T* a, const T* row, T* c) const;
  /// With the first k rows and n columns alone, of A's and C's rows that lie `lda` and `ldc` apart: C (m, n) += A (m, k) * B, or = where C is not to be `kept`.
  void multiply_part(size_t m, size_t n, size_t k, const T* a, size_t lda, bool kept, T* c, size_t ldc) const;

 private:
  void multiply(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* start, size_t lds, T* c, size_t ldc) const;
  size_t k_ = 0, n_ = 0;
  AlignedVector<T> panels_;  // columns in groups of one panel's width, each (k, width), the last filled up with zeros
};

/// Packed matrices of weights that stay as they are for a while, laid out once for all who multiply by them. Thread-safe.
template <class T>
class PackedCache {
 public:
  /// Of `b`, as PackedMatrix takes it, which must not change before `clear`; the result stays until then.
  const PackedMatrix<T>& get(Side side, size_t k, size_t n, const T* b);
  /// Of rows that are put together for it: `name` says which they are, to all who want the same before `clear`, and `gather` writes them, as `get` takes them.
  const PackedMatrix<T>& get_gathered(Side side, size_t k, size_t n, uint64_t name, const std::function<void(T*)>& gather);
  /// To be called when nobody uses what they gave.
  void clear() { matrices_.clear(), gathered_.clear(); }

 private:
  std::mutex mutex_;
  std::map<std::tuple<const T*, Side, size_t, size_t>, std::unique_ptr<PackedMatrix<T>>> matrices_;
  std::map<std::tuple<uint64_t, Side, size_t, size_t>, std::unique_ptr<PackedMatrix<T>>> gathered_;
  AlignedVector<T> rows_;  // of the last that were gathered
};

extern template class PackedCache<float>;
extern template class PackedCache<double>;
extern template class PackedMatrix<float>;
extern template class PackedMatrix<double>;

}  // namespace throng::tensor
