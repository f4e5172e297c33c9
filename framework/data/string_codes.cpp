#include "framework/data/string_codes.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "framework/base/error.h"
#include "framework/base/hash.h"

namespace throng::data {
namespace {

constexpr uint64_t kLeastPlainBytes = uint64_t{64} << 10;
constexpr size_t kMostStrings = 65536;
constexpr int64_t kSampleRun = 64, kSampleRuns = 64;

// What tells a string apart: strings of at most 16 bytes agree exactly where all three do, longer ones probably.
struct Mark {
  uint64_t head = 0, tail = 0;
  uint32_t length = 0;
  bool operator==(const Mark&) const = default;
  uint64_t hash() const { return mix64(head ^ (tail * 0x9e3779b97f4a7c15ull) ^ length); }
  /// `end`: up to where bytes may be read.
  static Mark of(std::string_view s, const char* end) {
    Mark m{0, 0, uint32_t(s.size())};
    if (s.size() > 16) {
      m.head = hash64(s);
    } else if (end - s.data() >= 16) {  // lengths change from row to row: no branches on them
      std::memcpy(&m.head, s.data(), 8);
      std::memcpy(&m.tail, s.data() + 8, 8);
      m.head &= kKept[s.size()].head;
      m.tail &= kKept[s.size()].tail;
    } else {
      char padded[16] = {};
      std::copy(s.begin(), s.end(), padded);
      std::memcpy(&m.head, padded, 8);
      std::memcpy(&m.tail, padded + 8, 8);
    }
    return m;
  }

 private:
  struct Kept {
    uint64_t head, tail;
  };
  static constexpr auto kKept = [] {  // the bytes of a string so long
    std::array<Kept, 17> kept{};
    for (unsigned n = 0; n <= 16; ++n) kept[n] = {n >= 8 ? ~0ull : (1ull << 8 * n) - 1, n <= 8 ? 0 : n == 16 ? ~0ull : (1ull << 8 * (n - 8)) - 1};
    return kept;
  }();
};

// Numbers different strings in the order they come. Keeps views of them.
class Numbers {
 public:
  /// Of strings that lie before `end`.
  explicit Numbers(const std::byte* end) : end_(reinterpret_cast<const char*>(end)), slots_(1024) {}
  uint32_t of(std::string_view s) {
    const Mark mark = Mark::of(s, end_);
    for (size_t at = mark.hash() & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.number == kNone) return add(slot, mark, s);
      if (slot.mark == mark && (s.size() <= 16 || strings_[slot.number] == s)) return slot.number;
    }
  }
  const std::vector<std::string_view>& strings() const { return strings_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Slot {
    Mark mark{};
    uint32_t number = kNone;
  };
  uint32_t add(Slot& slot, const Mark& mark, std::string_view s) {
    const uint32_t number = uint32_t(strings_.size());
    slot = {mark, number};
    strings_.push_back(s);
    if (strings_.size() * 2 > slots_.size()) grow();
    return number;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 4);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.number == kNone) continue;
      size_t at = slot.mark.hash() & (slots_.size() - 1);
      while (slots_[at].number != kNone) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = slot;
    }
  }

  const char* end_;
  std::vector<Slot> slots_;
  std::vector<std::string_view> strings_;
};

// Runs of neighbouring rows, spread over the piece: sorted strings repeat within a run, others between runs.
bool mostly_different(const Column& strings) {
  Numbers numbers(strings.bytes().data() + strings.bytes().size());
  const int64_t stride = std::max(kSampleRun, strings.size() / kSampleRuns);
  int64_t seen = 0;
  for (int64_t first = 0; first < strings.size(); first += stride)
    for (int64_t r = first; r < std::min(first + kSampleRun, strings.size()); ++r, ++seen) numbers.of(strings.string(r));
  return int64_t(numbers.strings().size()) * 8 > seen * 7;
}

// Copies strings of at most kSlot bytes as so many bytes each, the next over the end of the last. `into` has room for one more slot.
template <size_t kSlot, class Code>
void copy_short(const Code* codes, int64_t rows, const StringCodes& from, std::span<const uint64_t> begins, std::byte* into) {
  std::vector<std::byte> slots(from.lengths.size() * kSlot);
  for (size_t k = 0; k < from.lengths.size(); ++k)
    if (from.lengths[k]) std::memcpy(slots.data() + k * kSlot, from.bytes.data() + begins[k], from.lengths[k]);
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(into, slots.data() + size_t(codes[r]) * kSlot, kSlot);
    into += from.lengths[codes[r]];
  }
}

template <class Code>
Column decode(int64_t rows, const StringCodes& from, std::span<const uint64_t> begins, AlignedVector<uint8_t> valid) {
  const Code* codes = reinterpret_cast<const Code*>(from.codes.data());
  Code greatest = 0;
  for (int64_t r = 0; r < rows; ++r) greatest = std::max(greatest, codes[r]);
  if (rows > 0 && size_t(greatest) >= from.lengths.size()) throw data_error("a string has code {} in a dictionary of {}", greatest, from.lengths.size());
  Column::Parts parts;
  parts.valid = std::move(valid);
  parts.lengths.resize(size_t(rows));
  uint64_t total = 0;
  for (int64_t r = 0; r < rows; ++r) total += parts.lengths[size_t(r)] = from.lengths[codes[r]];
  const uint32_t longest = from.lengths.empty() ? 0 : *std::max_element(from.lengths.begin(), from.lengths.end());
  constexpr size_t kSlack = 32;
  parts.bytes.resize(total + kSlack);
  if (longest <= 8) copy_short<8>(codes, rows, from, begins, parts.bytes.data());
  else if (longest <= 16) copy_short<16>(codes, rows, from, begins, parts.bytes.data());
  else if (longest <= 32) copy_short<32>(codes, rows, from, begins, parts.bytes.data());
  else {
    std::byte* into = parts.bytes.data();
    for (int64_t r = 0; r < rows; into += parts.lengths[size_t(r)], ++r)
      if (parts.lengths[size_t(r)]) std::memcpy(into, from.bytes.data() + begins[codes[r]], parts.lengths[size_t(r)]);
  }
  parts.bytes.resize(total);
  return Column::from_parts(Type::kString, rows, std::move(parts));
}

}  // namespace

std::optional<StringCodes> encode_strings(const Column& strings) {
  const uint64_t rows = uint64_t(strings.size()), plain = strings.bytes().size() + 4 * rows;
  if (plain < kLeastPlainBytes || mostly_different(strings)) return std::nullopt;
  Numbers numbers(strings.bytes().data() + strings.bytes().size());
  std::vector<uint16_t> codes(rows);
  uint64_t dictionary_bytes = 0, known = 0, known_before = 0, look_at = kSampleRun * kSampleRuns;
  auto pays = [&](double dictionary) { return 2 * (dictionary + double(rows * code_bytes(known))) < double(plain); };
  for (uint64_t r = 0; r < rows; ++r) {
    if (r == look_at) {
      // Different strings grow about as a power of the rows (Heaps' law): what comes of them in the rest?
      double expected = double(dictionary_bytes);
      if (known_before)
        for (uint64_t n = r; 2 * n <= rows; n *= 2) expected *= double(known) / double(known_before);
      if (!pays(expected)) return std::nullopt;
      known_before = known;
      look_at *= 2;
    }
    const std::string_view s = strings.string(int64_t(r));
    codes[r] = uint16_t(numbers.of(s));
    if (numbers.strings().size() == known) continue;
    dictionary_bytes += 4 + s.size();
    if (++known > kMostStrings || !pays(double(dictionary_bytes))) return std::nullopt;
  }
  StringCodes out;
  out.codes.resize(rows * code_bytes(known));
  if (code_bytes(known) == 2) std::memcpy(out.codes.data(), codes.data(), out.codes.size());
  else
    for (uint64_t r = 0; r < rows; ++r) out.codes[r] = std::byte(codes[r]);
  for (std::string_view s : numbers.strings()) {
    out.lengths.push_back(uint32_t(s.size()));
    append_bytes(out.bytes, s.data(), s.size());
  }
  return out;
}

Column decode_strings(int64_t rows, const StringCodes& from, AlignedVector<uint8_t> valid) {
  std::vector<uint64_t> begins(from.lengths.size());
  uint64_t end = 0;
  for (size_t k = 0; k < begins.size(); ++k) begins[k] = std::exchange(end, end + from.lengths[k]);
  if (end != from.bytes.size() || from.codes.size() != size_t(rows) * code_bytes(begins.size()))
    throw data_error("{} bytes of codes and a dictionary of {} bytes do not fit {} rows", from.codes.size(), from.bytes.size(), rows);
  return begins.size() > 256 ? decode<uint16_t>(rows, from, begins, std::move(valid)) : decode<uint8_t>(rows, from, begins, std::move(valid));
}

}  // namespace throng::data
