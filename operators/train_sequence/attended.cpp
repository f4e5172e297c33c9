#include "operators/train_sequence/attended.h"

#include <algorithm>
#include <numeric>

namespace throng::op {

using data::Type;

void Attended::see(size_t row, std::span<const float> weights) {
  std::vector<int32_t> back(weights.size());
  std::iota(back.begin(), back.end(), 0);
  const auto weight = [&](int32_t b) { return weights[weights.size() - 1 - size_t(b)]; };
  const size_t n = std::min(most_, back.size());
  std::partial_sort(back.begin(), back.begin() + ptrdiff_t(n), back.end(), [&](int32_t a, int32_t b) { return weight(a) > weight(b) || (weight(a) == weight(b) && a < b); });
  back.resize(n);
  Found& found = found_[row];
  found.weights.clear();
  for (int32_t b : back) found.weights.push_back(weight(b));
  found.back = std::move(back);
}

void Attended::add_fields(data::Schema& schema) { schema.set({"attended", Type::kListInt32}), schema.set({"attention", Type::kListFloat32}); }

data::Batch Attended::with_columns(const data::Batch& batch, std::span<const int64_t> chosen) const {
  data::Column back(Type::kListInt32), weights(Type::kListFloat32);
  for (int64_t r : chosen) {
    const Found& found = found_[size_t(r)];
    back.append_list<int32_t>(found.back), weights.append_list<float>(found.weights);
  }
  return batch.with({"attended", Type::kListInt32}, std::move(back)).with({"attention", Type::kListFloat32}, std::move(weights));
}

}  // namespace throng::op
