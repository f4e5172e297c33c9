#include "framework/engine/stage_pass.h"

#include <map>

#include "framework/base/files.h"
#include "framework/base/stop_signal.h"
#include "framework/data/pieces.h"
#include "framework/engine/conform.h"

namespace throng::engine {

using data::Batch;

Batch StagePass::apply_maps(Batch batch) {
  for (size_t m : stage_.maps) {
    const auto& node = state_.node(m);
    Stopwatch watch;
    try {
      batch = static_cast<const graph::MapOperator&>(*node.op).map(batch);
    } catch (const Error& e) {
      throw in_step(e, node, int64_t(m), batch.origin.partition);
    }
    counts_.add(m, batch.num_rows(), watch.seconds());
  }
  return batch;
}

std::shared_ptr<const data::Schema> StagePass::stored_schema(size_t node, size_t input) {
  const auto& op = static_cast<const graph::KeyedOperator&>(*state_.node(node).op);
  auto schema = std::make_shared<data::Schema>(op.prepared_schema_of(input, state_.input_schema(node, input)));
  schema->add({kOriginColumn, data::Type::kInt64});
  return schema;
}

Grouping StagePass::grouping() {
  const size_t node = stage_.head_node;
  const auto& op = static_cast<const graph::KeyedOperator&>(*state_.node(node).op);
  std::vector<Grouping::Input> inputs;
  for (size_t k = 0; k < state_.node(node).inputs.size(); ++k) inputs.push_back({stored_schema(node, k), sort_columns(op, k)});
  return Grouping(op, std::move(inputs));
}

Resources StagePass::resources() { return {lane_.budget, lane_.quota, temporary_folder()}; }

// What a partition of the stage's head is expected to take while it is worked on, and whether that is too much to be done at once.
StagePass::Weight StagePass::weight(int64_t partition) {
  constexpr uint64_t kWorkingCopies = 4, kSourceBytes = uint64_t{4} << 20;
  uint64_t bytes = 0;
  const data::DatasetReader* stored = stored_head();
  if (stored) bytes = stored->manifest().partitions[size_t(partition)].num_bytes();
  else if (stage_.head == Stage::Head::kSource) bytes = kSourceBytes;
  if (stage_.head == Stage::Head::kExchange)
    for (size_t k = 0; k < state_.node(stage_.head_node).inputs.size(); ++k) bytes += buckets_.at({stage_.head_node, k})->size_of(partition);
  bytes *= kWorkingCopies;
  return {bytes, (stored || stage_.head == Stage::Head::kExchange) && bytes > lane_.budget.limit_bytes() / 2};
}

// The dataset that a stage reads, where it reads one.
const data::DatasetReader* StagePass::stored_head() {
  if (stage_.head == Stage::Head::kDataset) return &state_.reader(stage_.head_node, stage_.head_output);
  auto* source = dynamic_cast<const graph::SourceOperator*>(state_.node(stage_.head_node).op.get());
  return stage_.head == Stage::Head::kSource && source ? source->dataset() : nullptr;
}

// True where a map drops all rows of a piece, by their statistics.
bool StagePass::dropped(const data::Schema& schema, const data::PiecePlace& piece) {
  std::map<std::string, data::ColumnStatistics> known;
  auto statistics = [&](const std::string& column) -> const data::ColumnStatistics* {
    const int at = schema.find(column);
    if (at < 0) return nullptr;
    const auto& place = piece.columns[size_t(at)];
    return &known.try_emplace(column, data::ColumnStatistics{place.range, piece.num_rows, place.null_count}).first->second;
  };
  for (size_t m : stage_.maps) {
    const auto& op = static_cast<const graph::MapOperator&>(*state_.node(m).op);
    if (!op.may_keep(statistics)) return op.skip(piece.num_rows), true;
    if (!op.only_drops()) break;
  }
  return false;
}

// Gives the rows of a partition of the stage's head, after the maps, in batches.
void StagePass::produce(const Grouping* groups, int64_t partition, Blocks blocks, bool stream, const std::function<void(Batch)>& emit) {
  const auto& node = state_.node(stage_.head_node);
  int64_t row = 0, out = 0;
  double seconds = 0;
  Stopwatch watch;
  auto through = [&](Batch batch) {
    seconds += watch.seconds();
    batch.origin = {partition, row};
    row += batch.num_rows();
    if (stage_.head != Stage::Head::kDataset) out += batch.num_rows();
    emit(apply_maps(std::move(batch)));
    watch = Stopwatch();
  };
  try {
    if (const data::DatasetReader* from = stored_head()) {
      const graph::Names columns = stage_.head_output.empty() ? state_.plan().needed[stage_.head_node] : graph::Names{};
      const auto& pieces = from->manifest().partitions[size_t(partition)].pieces;
      for (size_t k = 0; k < pieces.size(); ++k) {
        if (!dropped(from->schema(), pieces[k])) {
          through(from->read_piece(partition, k, columns));
          continue;
        }
        row += pieces[k].num_rows;
        if (stage_.head != Stage::Head::kDataset) out += pieces[k].num_rows;
      }
    } else if (stage_.head == Stage::Head::kSource) {
      static_cast<graph::SourceOperator&>(*node.op).read(partition, state_.plan().needed[stage_.head_node], through);
    } else if (stream) {
      groups->stream(partition, std::move(blocks), lane_.budget.limit_bytes() / 2, resources(), through, [&](const LargeGroup& g) { counts_.add_hot_key(node.step.id, g); });
    } else {
      through(groups->whole(partition, std::move(blocks)));
    }
  } catch (const Error& e) {
    throw in_step(e, node, int64_t(stage_.head_node), partition);
  }
  if (stage_.head != Stage::Head::kDataset) counts_.add(stage_.head_node, out, seconds + watch.seconds());
}

size_t StagePass::for_each_piece(std::span<const int64_t> partitions, const Work& work) {
  const auto& head = state_.node(stage_.head_node);
  std::optional<Grouping> groups;
  bool sequential = false;
  if (stage_.head == Stage::Head::kSource) sequential = static_cast<const graph::SourceOperator&>(*head.op).sequential();
  if (stage_.head == Stage::Head::kDataset) state_.reader(stage_.head_node, stage_.head_output);  // opened by one thread
  if (stage_.head == Stage::Head::kExchange) groups.emplace(grouping());
  const Grouping* grouping = groups ? &*groups : nullptr;
  sides_.load(stage_);
  const data::Schema schema = stage_.tail == Stage::Tail::kDataset ? state_.plan().schema_of(stage_.tail_node) : state_.input_schema(stage_.tail_node, stage_.tail_input);

  struct Item {
    Weight weight;
    bool reserved = false;
    Blocks blocks;
    std::vector<Rest> rests;
  };
  std::vector<Item> items(partitions.size());
  size_t taken = 0;
  auto place_of = [&](size_t i) { return Place{partitions[i], 0, double(i + 1) / double(partitions.size())}; };
  // Pieces follow from the rows alone, so that work on a piece (sums, say) gives the same bits within any memory.
  auto run = [&](size_t i, bool stream, const std::function<void(Rest)>& done) {
    Place place = place_of(i);
    data::PieceCutter cutter(schema, [&](Batch piece) { done(work(place, std::move(piece))); });
    produce(grouping, place.partition, std::move(items[i].blocks), stream, [&](Batch batch) { cutter.add(conform(batch, schema, head.step.id)); });
    cutter.finish();
  };
  auto take_blocks = [&](size_t i) {
    if (stage_.head != Stage::Head::kExchange) return;
    for (size_t k = 0; k < head.inputs.size(); ++k) items[i].blocks.push_back(buckets_.at({stage_.head_node, k})->take(partitions[i]));
  };
  using Begin = ThreadPool::Begin;
  const size_t through = state_.pool().ordered_for(
      partitions.size(),
      [&](size_t i, bool must) {
        if (lane_.rounds.due() && (i > 0 || stop_wished())) return Begin::kNoMore;  // a round does something
        if (!must && (sequential || i >= taken + 2 * size_t(state_.pool().num_threads()))) return Begin::kLater;
        Item& item = items[i];
        item.weight = weight(partitions[i]);
        if (item.weight.large) return Begin::kNow;  // streamed when its turn comes
        item.reserved = lane_.budget.try_reserve(item.weight.bytes);
        if (!item.reserved && !must) return Begin::kLater;
        take_blocks(i);
        return Begin::kNow;
      },
      [&](size_t i) {
        if (!items[i].weight.large) run(i, false, [&](Rest rest) { items[i].rests.push_back(std::move(rest)); });
      },
      [&](size_t i) {
        Item& item = items[i];
        if (item.weight.large) {
          take_blocks(i);
          run(i, true, [](const Rest& rest) { rest(); });
        }
        for (auto& rest : item.rests) std::exchange(rest, {})();
        if (item.reserved) lane_.budget.release(item.weight.bytes);
        item = Item();
        taken = i + 1;
      });
  sides_.drop(stage_);
  return through;
}

SampledInput StagePass::sampled_input() {
  const auto& op = static_cast<const graph::KeyedOperator&>(*state_.node(stage_.tail_node).op);
  const auto& head = state_.node(stage_.head_node);
  THRONG_CHECK(stage_.maps.empty() && stage_.head != Stage::Head::kExchange, "step '{}' samples rows that cannot be read twice", state_.node(stage_.tail_node).step.id);
  const data::DatasetReader* stored = stage_.head == Stage::Head::kDataset ? &state_.reader(stage_.head_node, stage_.head_output) : nullptr;
  auto* source = dynamic_cast<graph::SourceOperator*>(head.op.get());  // where it is not stored
  const data::Schema in_schema = state_.input_schema(stage_.tail_node, stage_.tail_input);
  const graph::Names columns = op.needed_columns(stage_.tail_input, in_schema, {});
  graph::Names names;
  for (const auto& o : sort_columns(op, stage_.tail_input)) names.push_back(o.column);
  SampledInput input{state_.num_partitions(stage_), stored ? stored->manifest().num_rows() : source->estimated_rows(), in_schema.project(names), {}};
  input.read = [=, &op, input_index = stage_.tail_input, schema = input.schema](int64_t p) {
    std::vector<Batch> parts;
    auto add = [&](Batch batch) { parts.push_back(op.prepare_input(input_index, batch).project(names)); };
    if (!stored) source->read(p, columns, add);
    else
      for (size_t k = 0; k < stored->manifest().partitions[size_t(p)].pieces.size(); ++k) add(stored->read_piece(p, k, columns));
    return Batch::concat(schema, parts);
  };
  return input;
}

}  // namespace throng::engine
