#include "framework/engine/routing.h"

#include <algorithm>

#include "framework/base/hash.h"
#include "framework/data/compact_keys.h"

namespace throng::engine {

using data::Batch;

const std::string kOriginColumn = "__origin";

int64_t origin_of(int64_t partition, int64_t row) {
  constexpr int kRowBits = 40;
  return (partition << kRowBits) | row;
}

std::vector<data::OrderBy> sort_columns(const graph::KeyedOperator& op, size_t input) {
  std::vector<data::OrderBy> columns;
  for (const auto& name : op.key_of(input)) columns.push_back({name, false});
  for (const auto& name : op.order_of(input)) columns.push_back({name, false});
  const auto falling = op.falling();
  for (size_t i = 0; i < std::min(falling.size(), columns.size()); ++i) columns[i].falling = falling[i];
  return columns;
}

namespace {

// The range each row belongs to: how many splitters are at or before it, its place in the input being the last part of its key.
void ranges_of(const Batch& batch, const Batch& splitters, const std::vector<data::OrderBy>& order, std::span<uint32_t> ranges) {
  const int64_t num_cuts = splitters.num_rows();
  auto places = batch.column(kOriginColumn).values<int64_t>();
  std::span<const int64_t> cut_places;
  if (num_cuts > 0) cut_places = splitters.column(kOriginColumn).values<int64_t>();
  auto search = [&](size_t r, int64_t low, int64_t high, const auto& compare) {
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      const int k = compare(r, size_t(middle));
      if (k > 0 || (k == 0 && places[r] >= cut_places[size_t(middle)])) low = middle + 1;
      else high = middle;
    }
    return uint32_t(low);
  };
  if (auto compact = num_cuts > 0 ? data::CompactKeys::of({&batch, &splitters}, order) : std::nullopt) {
    const auto &keys = compact->of_batch[0], &cuts = compact->of_batch[1];
    // Where the search begins and ends, by the first bits of a key.
    const int shift = std::max(0, compact->bits - 12);
    std::vector<uint32_t> first((size_t{1} << std::min(compact->bits, 12)) + 1);
    for (size_t i = 0, c = 0; i < first.size(); ++i) {
      while (c < cuts.size() && cuts[c] >> shift < i) ++c;
      first[i] = uint32_t(c);
    }
    auto compare = [&](size_t r, size_t c) { return keys[r] < cuts[c] ? -1 : keys[r] > cuts[c]; };
    for (size_t r = 0; r < keys.size(); ++r) {
      const size_t bucket = size_t(keys[r] >> shift);
      ranges[r] = search(r, first[bucket], first[bucket + 1], compare);
    }
    return;
  }
  const data::RowComparison rows(batch, splitters, order);
  const data::RowKeys keys = data::RowKeys::of(batch, order), cut_keys = data::RowKeys::of(splitters, order);
  auto compare = [&](size_t r, size_t c) {
    const auto &key = keys.keys[r], &cut = cut_keys.keys[c];
    return key < cut ? -1 : cut < key ? 1 : keys.exact && cut_keys.exact ? 0 : rows(int64_t(r), int64_t(c));
  };
  for (size_t r = 0; r < ranges.size(); ++r) ranges[r] = search(r, 0, num_cuts, compare);
}

}  // namespace

Routing::Routing(const graph::KeyedOperator& op, size_t input, int64_t num_targets, Batch splitters)
    : ranged_(op.placement() == graph::KeyedOperator::Placement::kRange),
      key_(op.key_of(input)),
      order_(sort_columns(op, input)),
      num_targets_(num_targets),
      splitters_(std::move(splitters)) {}

std::vector<Routing::Block> Routing::blocks(const Batch& batch, int64_t partition, int64_t first_row, HeavyHitters* hitters) const {
  const int64_t n = batch.num_rows();
  data::Column origin = data::Column::zeros(data::Type::kInt64, n);
  for (int64_t r = 0; r < n; ++r) origin.mutable_values<int64_t>()[size_t(r)] = origin_of(partition, first_row + r);
  const Batch rows = batch.with({kOriginColumn, data::Type::kInt64}, std::move(origin));
  AlignedVector<uint32_t> target(static_cast<size_t>(n));
  if (ranged_) {
    ranges_of(rows, splitters_, order_, target);
  } else if (key_.empty()) {
    std::fill(target.begin(), target.end(), 0);
  } else {
    const auto hashes = rows.hash_rows(key_);
    for (size_t r = 0; r < hashes.size(); ++r) target[r] = uint32_t(hashes[r] % uint64_t(num_targets_));
    if (hitters) *hitters = HeavyHitters(rows, key_, hashes, mix64(uint64_t(origin_of(partition, first_row))));
  }
  std::vector<Block> blocks;
  auto by_target = rows.serialize_by(target, size_t(num_targets_));
  for (size_t t = 0; t < by_target.size(); ++t)
    if (!by_target[t].empty()) blocks.emplace_back(int64_t(t), std::move(by_target[t]));
  return blocks;
}

Batch range_splitters(comm::Communicator& comm, const SampledInput& input, const std::vector<data::OrderBy>& order, int64_t num_targets) {
  constexpr int64_t kSampledPartitions = 256, kSamplesPerTarget = 64;
  const int64_t n = input.num_partitions, sampled = std::min(n, kSampledPartitions);
  const int64_t first = data::first_partition(comm.rank(), comm.size(), n), end = data::first_partition(comm.rank() + 1, comm.size(), n);
  const int64_t total = std::max<int64_t>(1, input.num_rows / std::max<int64_t>(1, n) * sampled);  // about, of the partitions sampled
  auto schema = std::make_shared<data::Schema>(input.schema);
  schema->add({kOriginColumn, data::Type::kInt64});
  std::vector<Batch> samples;
  for (int64_t i = 0; i < sampled; ++i) {
    const int64_t p = i * n / sampled;
    if (p < first || p >= end) continue;
    const Batch batch = input.read(p);
    const int64_t rows = batch.num_rows();
    if (rows == 0) continue;
    const int64_t wanted = std::min(rows, kSamplesPerTarget * num_targets * rows / total + 1);
    std::vector<int64_t> chosen;
    data::Column origin(data::Type::kInt64);
    for (int64_t k = 0; k < wanted; ++k) {
      const int64_t from = k * rows / wanted, width = (k + 1) * rows / wanted - from;
      const int64_t r = from + int64_t(mix64(uint64_t(p) << 32 ^ uint64_t(k)) % uint64_t(std::max<int64_t>(1, width)));
      chosen.push_back(r);
      origin.append(origin_of(p, r));
    }
    samples.push_back(batch.take(chosen).with({kOriginColumn, data::Type::kInt64}, std::move(origin)));
  }
  Buffer packed;
  Batch::concat(*schema, samples).serialize(packed);
  std::vector<Batch> parts;
  for (const auto& text : comm.allgather(std::string(reinterpret_cast<const char*>(packed.data()), packed.size())))
    parts.push_back(Batch::deserialize(std::as_bytes(std::span(text)), schema));
  const Batch all = Batch::concat(*schema, parts);
  const auto sorted = data::ordered_rows(all, order, all.column(kOriginColumn).values<int64_t>());
  std::vector<int64_t> cuts;
  for (int64_t t = 1; t < num_targets && !sorted.empty(); ++t) cuts.push_back(sorted[size_t(t) * sorted.size() / size_t(num_targets)]);
  return all.take(cuts);
}

}  // namespace throng::engine
