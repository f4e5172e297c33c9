#include "operators/join/join_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.h"

namespace throng::op {
namespace {

using data::Type;

constexpr uint64_t kSlotsInAnyCase = uint64_t{1} << 20;  // 4 MiB: quicker to look into than a hash table, however few rows there are

std::vector<const data::Column*> keys_that_may_be_null(const data::Batch& rows, const std::vector<std::string>& key) {
  std::vector<const data::Column*> columns;
  for (const auto& name : key)
    if (rows.column(name).has_nulls()) columns.push_back(&rows.column(name));
  return columns;
}

bool any_null(const std::vector<const data::Column*>& columns, int64_t row) {
  return std::any_of(columns.begin(), columns.end(), [&](const auto* c) { return !c->is_valid(row); });
}

}  // namespace

JoinTable::JoinTable(data::Batch rows, std::vector<std::string> key) : rows_(std::move(rows)), key_(std::move(key)) {
  const size_t n = size_t(rows_.num_rows());
  if (n >= size_t(INT32_MAX)) throw data_error("the right input has {} rows; a broadcast takes up to {}", n, INT32_MAX).with_hint("strategy: shuffle");
  next_.assign(n, -1);
  const auto null_keys = keys_that_may_be_null(rows_, key_);
  const bool by_value = make_slots_by_value();
  if (!by_value) {
    size_t capacity = 64;
    while (capacity < 2 * n) capacity *= 2;
    slots_.assign(capacity, -1);
    hashes_ = rows_.hash_rows(key_);
  }
  for (size_t r = n; r-- > 0;) {  // backwards: a chain begins with the first row
    if (any_null(null_keys, int64_t(r))) continue;
    int32_t& slot = slots_[by_value ? uint64_t(rows_.column(key_[0]).as_int64(int64_t(r))) - uint64_t(least_) : hashes_[r] & (slots_.size() - 1)];
    next_[r] = std::exchange(slot, int32_t(r));
    unique_ = unique_ && next_[r] < 0;
  }
}

bool JoinTable::make_slots_by_value() {
  const data::Column& key = rows_.column(key_[0]);
  if (key_.size() > 1 || (!data::is_integer(key.type()) && key.type() != Type::kBool && key.type() != Type::kTimestamp)) return false;
  const uint64_t n = uint64_t(rows_.num_rows());
  int64_t least = INT64_MAX, greatest = INT64_MIN;
  for (int64_t r = 0; r < int64_t(n); ++r)
    if (key.is_valid(r)) least = std::min(least, key.as_int64(r)), greatest = std::max(greatest, key.as_int64(r));
  const uint64_t width = least > greatest ? 0 : uint64_t(greatest) - uint64_t(least);
  if (width >= std::max(8 * n, kSlotsInAnyCase)) return false;
  least_ = least > greatest ? 0 : least;
  slots_.assign(size_t(width) + 1, -1);
  return true;
}

void JoinTable::matches(const data::Batch& left, const std::vector<std::string>& on, bool once, std::vector<int64_t>& left_rows, std::vector<int64_t>& right_rows) const {
  if (next_.empty()) return;
  const auto null_keys = keys_that_may_be_null(left, on);
  left_rows.reserve(left_rows.size() + size_t(left.num_rows())), right_rows.reserve(right_rows.size() + size_t(left.num_rows()));
  auto probe = [&](const auto& first, const auto& same) {
    for (int64_t l = 0; l < left.num_rows(); ++l) {
      int32_t r = null_keys.empty() || !any_null(null_keys, l) ? first(l) : -1;
      for (; r >= 0; r = next_[size_t(r)]) {
        if (!same(l, r)) continue;
        left_rows.push_back(l), right_rows.push_back(r);
        if (once) break;
      }
    }
  };
  // At most one match of each row: it is noted whether there is one or not, and counted if so, since a jump could not be foretold.
  auto probe_unique = [&](const auto& first) {
    constexpr int64_t kRows = 1024;
    std::array<int64_t, kRows> of_left, of_right;
    for (int64_t begin = 0; begin < left.num_rows(); begin += kRows) {
      size_t n = 0;
      for (int64_t l = begin; l < std::min(begin + kRows, left.num_rows()); ++l) {
        const int32_t r = first(l);
        of_left[n] = l, of_right[n] = r;
        n += r >= 0;
      }
      left_rows.insert(left_rows.end(), of_left.begin(), of_left.begin() + n), right_rows.insert(right_rows.end(), of_right.begin(), of_right.begin() + n);
    }
  };
  if (hashes_.empty()) {  // by value
    auto by_value = [&](auto values) {
      auto first = [&](int64_t l) { const uint64_t at = uint64_t(int64_t{values[size_t(l)]}) - uint64_t(least_); return at < slots_.size() ? slots_[at] : -1; };
      if ((once || unique_) && null_keys.empty()) probe_unique(first);
      else probe(first, [](int64_t, int32_t) { return true; });
    };
    const data::Column& key = left.column(on[0]);
    if (key.type() == Type::kBool) by_value(key.values<uint8_t>());
    else if (key.type() == Type::kInt32) by_value(key.values<int32_t>());
    else by_value(key.values<int64_t>());
    return;
  }
  const auto hashes = left.hash_rows(on);
  std::vector<std::pair<const data::Column*, const data::Column*>> keys;
  for (size_t i = 0; i < on.size(); ++i) keys.emplace_back(&left.column(on[i]), &rows_.column(key_[i]));
  probe([&](int64_t l) { return slots_[hashes[size_t(l)] & (slots_.size() - 1)]; },
        [&](int64_t l, int32_t r) {
          return hashes_[size_t(r)] == hashes[size_t(l)] && std::all_of(keys.begin(), keys.end(), [&](const auto& k) { return data::Column::compare(*k.first, l, *k.second, r) == 0; });
        });
}

}  // namespace throng::op
