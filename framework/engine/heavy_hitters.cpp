#include "framework/engine/heavy_hitters.h"

#include <algorithm>
#include <array>
#include <functional>

#include "framework/base/hash.h"
#include "framework/engine/portions.h"

namespace throng::engine {
namespace {

using nlohmann::json;

constexpr int64_t kSamples = 1024;  // at least, of a piece that has as many rows
constexpr int64_t kPieceShare = 32;

struct Slot {
  uint64_t hash = 0;
  int64_t weight = 0, row = 0;
};

}  // namespace

HeavyHitters::HeavyHitters(const data::Batch& piece, const std::vector<std::string>& key, std::span<const uint64_t> hashes, uint64_t seed) : num_rows_(piece.num_rows()) {
  const int64_t step = std::max<int64_t>(1, num_rows_ / kSamples);  // fewer than 2 kSamples stretches
  std::array<Slot, size_t(4 * kSamples)> slots{};
  std::array<uint16_t, size_t(2 * kSamples)> used;
  size_t num_used = 0;
  for (int64_t at = 0; at < num_rows_; at += step) {
    const int64_t width = std::min(step, num_rows_ - at), row = at + int64_t(mix64(seed ^ uint64_t(at)) % uint64_t(width));
    const uint64_t hash = hashes[size_t(row)];
    size_t s = size_t(mix64(hash) % slots.size());
    while (slots[s].weight > 0 && slots[s].hash != hash) s = (s + 1) % slots.size();
    if (slots[s].weight == 0) slots[s] = {hash, 0, row}, used[num_used++] = uint16_t(s);
    slots[s].weight += width;
  }
  for (size_t k = 0; k < num_used; ++k) {
    const Slot& slot = slots[used[k]];
    if (slot.weight > step && slot.weight * kPieceShare >= num_rows_) counters_[slot.hash] = {key_text(piece, key, slot.row), slot.weight};
  }
}

void HeavyHitters::merge(const HeavyHitters& later) {
  num_rows_ += later.num_rows_;
  for (const auto& [hash, key] : later.counters_) {
    auto& mine = counters_[hash];
    if (mine.rows == 0) mine.text = key.text;
    mine.rows += key.rows;
  }
  if (counters_.size() <= kCounters) return;
  std::vector<int64_t> rows;
  for (const auto& [hash, key] : counters_) rows.push_back(key.rows);
  std::nth_element(rows.begin(), rows.begin() + ptrdiff_t(kCounters), rows.end(), std::greater<>());
  const int64_t taken = rows[kCounters];
  for (auto& [hash, key] : counters_) key.rows -= taken;
  std::erase_if(counters_, [](const auto& c) { return c.second.rows <= 0; });
}

std::vector<HeavyHitters::Key> HeavyHitters::keys() const {
  std::vector<Key> keys;
  for (const auto& [hash, key] : counters_) keys.push_back(key);
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.rows != b.rows ? a.rows > b.rows : a.text < b.text; });
  return keys;
}

json HeavyHitters::to_json() const {
  json counters = json::array();
  for (const auto& [hash, key] : counters_) counters.push_back({hash, key.rows, key.text});
  return {{"rows", num_rows_}, {"counters", counters}};
}

HeavyHitters HeavyHitters::from_json(const json& j) {
  HeavyHitters h;
  h.num_rows_ = j.at("rows");
  for (const auto& c : j.at("counters")) h.counters_[c[0].get<uint64_t>()] = {c[2].get<std::string>(), c[1].get<int64_t>()};
  return h;
}

}  // namespace throng::engine
