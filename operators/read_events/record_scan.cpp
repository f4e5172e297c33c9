#include "operators/read_events/record_scan.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace throng::op {
namespace {

constexpr size_t kBlock = 64;

// Bit i: block[i] is `wanted`.
uint64_t equal_bytes(const char* block, char wanted) {
  uint64_t mask = 0;
#if defined(__SSE2__)
  const __m128i all = _mm_set1_epi8(wanted);
  for (int k = 0; k < 4; ++k) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * k));
    mask |= uint64_t(uint32_t(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, all)))) << (16 * k);
  }
#else
  for (size_t i = 0; i < kBlock; ++i) mask |= uint64_t(block[i] == wanted) << i;
#endif
  return mask;
}

// Bit i: an odd number of bits up to i is set.
uint64_t odd_up_to(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

size_t put(uint64_t mask, uint32_t base, uint32_t* to) {
  size_t n = 0;
  for (; mask; mask &= mask - 1) to[n++] = base + uint32_t(std::countr_zero(mask));
  return n;
}

}  // namespace

size_t count_bytes(std::string_view text, char wanted) {
  size_t count = 0, at = 0;
  for (; at + kBlock <= text.size(); at += kBlock) count += size_t(std::popcount(equal_bytes(text.data() + at, wanted)));
  return count + size_t(std::count(text.begin() + ptrdiff_t(at), text.end(), wanted));
}

void RecordScan::scan(std::string_view text, char delimiter, bool quoting) {
  const size_t most = (text.size() / kBlock + 1) * kBlock;
  for (auto* marks : {&lines_, &ends_, &quotes_})
    if (marks->size() < most) marks->resize(most);
  num_lines_ = num_ends_ = num_quotes_ = 0;
  uint64_t inside = 0;  // all bits set within quotes
  char last[kBlock] = {};
  for (size_t at = 0; at < text.size(); at += kBlock) {
    const char* block = text.data() + at;
    uint64_t there = ~uint64_t{0};
    if (const size_t left = text.size() - at; left < kBlock) {
      std::memcpy(last, block, left);
      block = last;
      there >>= kBlock - left;
    }
    uint64_t lines = equal_bytes(block, '\n') & there, delimiters = equal_bytes(block, delimiter) & there;
    const uint64_t quotes = quoting ? equal_bytes(block, '"') & there : 0;
    if (quotes | inside) {
      const uint64_t within = odd_up_to(quotes) ^ inside;
      lines &= ~within, delimiters &= ~within;
      inside = 0 - (within >> 63);
      num_quotes_ += put(quotes, uint32_t(at), quotes_.data() + num_quotes_);
    }
    num_lines_ += put(lines, uint32_t(at), lines_.data() + num_lines_);
    num_ends_ += put(lines | delimiters, uint32_t(at), ends_.data() + num_ends_);
  }
}

}  // namespace throng::op
