#include "framework/graph/operator.h"

namespace throng::graph {

std::string_view shape_name(Shape shape) {
  switch (shape) {
    case Shape::kSource: return "source";
    case Shape::kMap: return "map";
    case Shape::kKeyed: return "keyed";
    case Shape::kCollective: return "collective";
  }
  return "";
}

data::Batch rows_with(const data::Batch& batch, const Names& columns, Counters& counters, const std::string& counter) {
  std::vector<uint8_t> keep;
  for (const auto& name : columns) {
    const auto& column = batch.column(name);
    if (!column.has_nulls()) continue;
    keep.resize(size_t(batch.num_rows()), 1);
    for (size_t r = 0; r < keep.size(); ++r) keep[r] &= uint8_t(column.is_valid(int64_t(r)));
  }
  if (keep.empty()) return batch;
  data::Batch kept = batch.filter(keep);
  counters.add(counter, batch.num_rows() - kept.num_rows());
  return kept;
}

data::Batch KeyedOperator::join(const data::Batch&, const data::Batch&) const { throw bug("an operator of one input was given two"); }

std::vector<uint8_t> training_rows(const data::Batch& batch) {
  std::vector<uint8_t> train(size_t(batch.num_rows()), 1);
  int at = batch.schema().find(kHoldoutColumn);
  if (at < 0 || batch.schema()[size_t(at)].type != data::Type::kBool) return train;
  const auto& held = batch.column(size_t(at));
  auto values = held.values<uint8_t>();
  for (size_t r = 0; r < train.size(); ++r) train[r] = !(held.is_valid(int64_t(r)) && values[r]);
  return train;
}

void map_partitions(CollectiveContext& context, size_t input, const Names& columns, data::DatasetWriter& output,
                    const std::function<data::Batch(const data::Batch&)>& map) {
  const int64_t end = context.end_owned(input), group = context.pool().num_threads();
  for (int64_t first = context.first_owned(input); first < end; first += group) {
    std::vector<data::Batch> results(size_t(std::min(group, end - first)));
    context.pool().parallel_for(results.size(), [&](size_t i) { results[i] = map(context.read(input, first + int64_t(i), columns)); });
    for (size_t i = 0; i < results.size(); ++i) output.write(first + int64_t(i), results[i]);
  }
}

void for_each_partition(CollectiveContext& context, size_t input, const Names& columns,
                        const std::function<void(const data::Batch&)>& body) {
  const int64_t first = context.first_owned(input), end = context.end_owned(input);
  context.pool().parallel_for(size_t(end - first), [&](size_t i) { body(context.read(input, first + int64_t(i), columns)); });
}

void CollectiveOperator::replay(CollectiveContext& context) {
  auto& output = context.output("", apply_schema(context.input_schema(0)), context.num_partitions(0));
  map_partitions(context, 0, {}, output, [this](const data::Batch& batch) { return apply(batch); });
}

Error stopped() {
  return Error(Fault::kStopped, "stopped at a checkpoint as asked").with_hint("go on with --resume");
}

}  // namespace throng::graph
