// Arrays aligned to 64 bytes whose elements are not zeroed on resize.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace throng {

/// Allocates at cache-line alignment; new elements of trivial types are left uninitialised. Not by aligned new: glibc 2.36 asks for a little more there, so that what was freed never
/// serves for the same size again, and large arrays of a step that come and go left half as much again unused between them.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}  // NOLINT: rebinding is implicit for allocators
#if defined(__SANITIZE_ADDRESS__)
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
#else
  T* allocate(size_t n) {
    if (n > (SIZE_MAX - 64) / sizeof(T)) throw std::bad_array_new_length();
    auto* block = static_cast<unsigned char*>(::operator new(n * sizeof(T) + 64));
    const size_t skipped = 64 - reinterpret_cast<uintptr_t>(block) % 64;
    block[skipped - 1] = static_cast<unsigned char>(skipped);  // 1 to 64
    return reinterpret_cast<T*>(block + skipped);
  }
  void deallocate(T* p, size_t) {
    auto* at = reinterpret_cast<unsigned char*>(p);
    ::operator delete(at - at[-1]);
  }
#endif
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

/// A vector of values that are copied as bytes. std::vector moves and copies them one by one through an allocator that constructs, which for bytes
/// costs more than what is done with them; here they go by memcpy wherever it grows, is copied or added to.
template <class T>
class AlignedVector : public std::vector<T, AlignedAllocator<T>> {
  static_assert(std::is_trivially_copyable_v<T>);
  using Base = std::vector<T, AlignedAllocator<T>>;

 public:
  AlignedVector() = default;
  explicit AlignedVector(size_t n) { resize(n); }
  AlignedVector(size_t n, T value) { resize(n, value); }
  template <std::input_iterator Iterator>
  AlignedVector(Iterator first, Iterator last) {
    assign(first, last);
  }
  AlignedVector(std::initializer_list<T> values) { append(values.begin(), values.size()); }
  AlignedVector(const AlignedVector& o) : Base() { append(o.data(), o.size()); }
  AlignedVector(AlignedVector&&) noexcept = default;
  AlignedVector& operator=(const AlignedVector& o) {
    if (this != &o) assign(o.begin(), o.end());
    return *this;
  }
  AlignedVector& operator=(AlignedVector&&) noexcept = default;
  ~AlignedVector() = default;

  void reserve(size_t n) {
    if (n <= this->capacity()) return;
    Base grown;
    grown.reserve(n);
    grown.resize(this->size());
    if (!this->empty()) std::memcpy(grown.data(), this->data(), this->size() * sizeof(T));
    this->swap(grown);
  }
  /// New elements have any value.
  void resize(size_t n) {
    if (n > this->capacity()) reserve(std::max(n, 2 * this->capacity()));
    Base::resize(n);
  }
  void resize(size_t n, T value) {
    const size_t before = this->size();
    resize(n);
    if (n > before) std::fill(this->begin() + std::ptrdiff_t(before), this->end(), value);
  }
  void push_back(T value) {
    if (this->size() == this->capacity()) reserve(std::max(size_t{1}, 2 * this->capacity()));
    Base::push_back(value);
  }
  /// Adds n values; they may not be this vector's own.
  void append(const T* values, size_t n) {
    const size_t before = this->size();
    resize(before + n);
    if (n > 0) std::memcpy(this->data() + before, values, n * sizeof(T));
  }
  void assign(size_t n, T value) {
    this->clear();
    resize(n, value);
  }
  template <std::input_iterator Iterator>
  void assign(Iterator first, Iterator last) {
    this->clear();
    if constexpr (std::contiguous_iterator<Iterator> && std::is_same_v<std::iter_value_t<Iterator>, T>) append(std::to_address(first), size_t(last - first));
    else Base::assign(first, last);
  }
};
/// Raw bytes: messages, serialised batches, bulk reads.
using Buffer = AlignedVector<std::byte>;

inline void append_bytes(Buffer& into, const void* data, size_t num_bytes) { into.append(static_cast<const std::byte*>(data), num_bytes); }

/// Asks for memory that will be needed soon: rows here and there in a large table are far from all caches.
template <class T>
inline void prefetch(const T* from, size_t n) {
  for (const char *at = reinterpret_cast<const char*>(from), *end = reinterpret_cast<const char*>(from + n); at < end; at += 64) __builtin_prefetch(at);
}
constexpr size_t kRowsAhead = 6;

}  // namespace throng
