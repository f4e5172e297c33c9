#include "framework/data/code_kernels.h"

#include <vector>

namespace throng::data::kernels {
namespace {

#define THRONG_BODY __attribute__((always_inline))  // a body is compiled once for each instruction set below

#if defined(__x86_64__)
template <class Body>
__attribute__((target("avx2"), optimize("O3"), noinline)) void run_avx2(const Body& body) {
  body();
}
const bool has_avx2 = __builtin_cpu_supports("avx2");
#endif
template <class Body>
__attribute__((optimize("O3"), noinline)) void run_plain(const Body& body) {
  body();
}

template <class Body>
void run(const Body& body) {
#if defined(__x86_64__)
  if (has_avx2) return run_avx2(body);
#endif
  run_plain(body);
}

}  // namespace

template <class T>
Range<T> range_of(std::span<const T> values) {
  Range<T> range{};
  run([&]() THRONG_BODY {
    const T* v = values.data();
    T least = v[0], greatest = v[0];
    for (size_t r = 0, n = values.size(); r < n; ++r) {
      least = v[r] < least ? v[r] : least;
      greatest = greatest < v[r] ? v[r] : greatest;
    }
    range = {least, greatest};
  });
  return range;
}

template <class T>
void code_by_difference(std::span<const T> values, T least, uint32_t first, std::span<uint32_t> codes) {
  run([&]() THRONG_BODY {
    const T* v = values.data();
    uint32_t* to = codes.data();
    const uint32_t shift = first - uint32_t(least);  // modulo 2^32, as all of this is
    for (size_t r = 0, n = values.size(); r < n; ++r) to[r] = uint32_t(v[r]) + shift;
  });
}

void combine_codes(std::span<const uint32_t> high, uint32_t factor, std::span<const uint32_t> low, std::span<uint32_t> codes) {
  run([&]() THRONG_BODY {
    const uint32_t *a = high.data(), *b = low.data(), by = factor;
    uint32_t* to = codes.data();
    for (size_t r = 0, n = codes.size(); r < n; ++r) to[r] = a[r] * by + b[r];
  });
}

void count_codes(std::span<const uint32_t> codes, std::span<int64_t> counts) {
  constexpr size_t kTables = 4, kFew = 1024;  // a count waits for the one before of the same code, so that few codes are counted side by side
  const size_t k = counts.size();
  size_t r = 0;
  if (k <= kFew && codes.size() >= k) {
    std::vector<int64_t> tables((kTables - 1) * k);
    int64_t *a = counts.data(), *b = tables.data(), *c = b + k, *d = c + k;
    for (; r + kTables <= codes.size(); r += kTables) ++a[codes[r]], ++b[codes[r + 1]], ++c[codes[r + 2]], ++d[codes[r + 3]];
    for (size_t i = 0; i < k; ++i) a[i] += b[i] + c[i] + d[i];
  }
  for (; r < codes.size(); ++r) ++counts[codes[r]];
}

template Range<uint8_t> range_of(std::span<const uint8_t>);
template Range<int32_t> range_of(std::span<const int32_t>);
template Range<int64_t> range_of(std::span<const int64_t>);
template void code_by_difference(std::span<const uint8_t>, uint8_t, uint32_t, std::span<uint32_t>);
template void code_by_difference(std::span<const int32_t>, int32_t, uint32_t, std::span<uint32_t>);
template void code_by_difference(std::span<const int64_t>, int64_t, uint32_t, std::span<uint32_t>);

}  // namespace throng::data::kernels
