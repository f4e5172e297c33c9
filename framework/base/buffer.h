// Arrays aligned to 64 bytes whose elements are not zeroed on resize.
#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace throng {

/// Allocates at cache-line alignment; `resize` leaves new elements of trivial types uninitialised.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}  // NOLINT: rebinding is implicit for allocators
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  template <class U, class... Args>
  void construct(U* p, Args&&... args) {
    if constexpr (sizeof...(Args) == 0 && std::is_trivially_default_constructible_v<U>)
      ::new (static_cast<void*>(p)) U;
    else
      ::new (static_cast<void*>(p)) U(std::forward<Args>(args)...);
  }
  template <class U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;
/// Raw bytes: messages, serialised batches, bulk reads.
using Buffer = AlignedVector<std::byte>;

/// Appends with one memcpy (vector::insert would copy element by element through the allocator).
inline void append_bytes(Buffer& into, const void* data, size_t num_bytes) {
  size_t at = into.size();
  into.resize(at + num_bytes);
  if (num_bytes) std::memcpy(into.data() + at, data, num_bytes);
}

}  // namespace throng
