#include "framework/engine/executor.h"

#include <algorithm>
#include <cstdlib>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/base/stop_signal.h"
#include "framework/base/units.h"
#include "framework/data/compact_keys.h"

namespace throng::engine {

namespace fs = std::filesystem;
using data::Batch;
using nlohmann::json;

namespace {

constexpr size_t kHotKeys = 10;  // named in a step's record
constexpr int kOriginBits = 40;  // position within a partition
const std::string kOriginColumn = "__origin";

// The batch's columns under `schema`, by name.
Batch conform(const Batch& batch, const data::Schema& schema, const std::string& step) {
  if (batch.schema() == schema) return batch;
  std::vector<data::ColumnPtr> columns;
  for (const auto& field : schema.fields()) {
    int at = batch.schema().find(field.name);
    THRONG_CHECK(at >= 0, "step '{}' did not make column '{}'", step, field.name);
    THRONG_CHECK(batch.column(size_t(at)).type() == field.type, "step '{}' made column '{}' as {}", step, field.name,
                 data::type_name(batch.column(size_t(at)).type()));
    columns.push_back(batch.column_ptr(size_t(at)));
  }
  return Batch(std::make_shared<data::Schema>(schema), std::move(columns), batch.origin);
}

// The node of a task, and those fused into it.
std::set<size_t> nodes_of(const Task& task) {
  std::set<size_t> nodes{task.node};
  for (const auto& s : task.stages) {
    if (s.head != Stage::Head::kDataset) nodes.insert(s.head_node);
    nodes.insert(s.maps.begin(), s.maps.end());
  }
  return nodes;
}

std::vector<data::OrderBy> sort_columns(const graph::KeyedOperator& op, size_t input) {
  std::vector<data::OrderBy> columns;
  for (const auto& name : op.key_of(input)) columns.push_back({name, false});
  for (const auto& name : op.order_of(input)) columns.push_back({name, false});
  const auto falling = op.falling();
  for (size_t i = 0; i < std::min(falling.size(), columns.size()); ++i) columns[i].falling = falling[i];
  return columns;
}

Error in_step(Error error, const graph::Node& node, int64_t step, int64_t partition) {
  if (error.step() < 0 && error.fault() != Fault::kStopped)
    error.prefix(fmt::format("step '{}' ({}): ", node.step.id, node.step.op));
  error.at(step, partition, 0);
  return error;
}

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
    return key < cut ? -1 : cut < key ? 1 : keys.exact ? 0 : rows(int64_t(r), int64_t(c));
  };
  for (size_t r = 0; r < ranges.size(); ++r) ranges[r] = search(r, 0, num_cuts, compare);
}

}  // namespace

// ---------------------------------------------------------------------------------- context of a collective step

class StepContext : public graph::CollectiveContext {
 public:
  StepContext(Executor& executor, const Task& task, StepRecord& record)
      : e_(executor), node_(executor.plan_.graph.nodes[task.node]), record_(record) {
    for (size_t i = 0; i < node_.inputs.size(); ++i) readers_.push_back(&e_.reader(node_.inputs[i], node_.outputs[i]));
  }

  comm::Communicator& comm() override { return e_.comm_; }
  ThreadPool& pool() override { return e_.pool_; }
  size_t num_inputs() const override { return readers_.size(); }
  const data::Schema& input_schema(size_t i) const override { return readers_.at(i)->schema(); }
  int64_t num_partitions(size_t i) const override { return readers_.at(i)->num_partitions(); }
  int64_t num_rows(size_t i) const override { return readers_.at(i)->manifest().num_rows(); }
  int64_t num_rows(size_t i, int64_t partition) const override { return readers_.at(i)->manifest().partitions.at(size_t(partition)).num_rows(); }
  Batch read(size_t i, int64_t partition, const graph::Names& columns) override { return readers_.at(i)->read(partition, columns); }
  fs::path input_folder(size_t i) const override { return e_.directory_.step(e_.plan_.graph.nodes[node_.inputs.at(i)].step.id); }
  fs::path input_dataset(size_t i) const override { return readers_.at(i)->folder(); }
  std::string input_step(size_t i) const override { return e_.plan_.graph.nodes[node_.inputs.at(i)].step.id; }
  std::string input_op(size_t i) const override { return e_.plan_.graph.nodes[node_.inputs.at(i)].step.op; }

  data::DatasetWriter& output(const std::string& name, data::Schema schema, int64_t num_partitions) override {
    auto& out = outputs_[name];
    THRONG_CHECK(!out.writer, "output '{}' of step '{}' is opened twice", name, node_.step.id);
    out.partitions = num_partitions;
    out.writer = std::make_unique<data::DatasetWriter>(e_.directory_.dataset(node_.step.id, name), std::move(schema), e_.comm_);
    return *out.writer;
  }
  fs::path folder() const override { return e_.directory_.state(node_.step.id); }
  void metric(const std::string& name, const std::string& text) override { record_.metrics[name] = json::parse(text); }
  void progress(double fraction, const std::string& text) override { e_.tell(text, fraction); }
  bool stop_agreed() override { return e_.comm_.allreduce(stop_wished() ? 1 : 0, comm::Op::kMax) != 0; }
  graph::Counters& counters() override { return node_.op->counters(); }

  /// Collective. Commits every output in name order.
  void commit(const std::string& key) {
    for (auto& [name, out] : outputs_) {
      auto manifest = out.writer->commit(out.partitions, key);
      json summary{{"rows", manifest.num_rows()}, {"bytes", manifest.num_bytes()}, {"content_hash", manifest.content_hash()}};
      if (name.empty()) {
        record_.rows = manifest.num_rows(), record_.bytes = manifest.num_bytes(), record_.content_hash = manifest.content_hash();
      } else {
        record_.outputs[name] = summary;
      }
    }
  }

 private:
  struct Output {
    std::unique_ptr<data::DatasetWriter> writer;
    int64_t partitions = 0;
  };
  Executor& e_;
  graph::Node& node_;
  StepRecord& record_;
  std::vector<const data::DatasetReader*> readers_;
  std::map<std::string, Output> outputs_;
};

// --------------------------------------------------------------------------------------------------- executor

Executor::Executor(Plan& plan, comm::Communicator& comm, RunDirectory directory, ExecutorOptions options)
    : plan_(plan), comm_(comm), directory_(std::move(directory)), options_(std::move(options)), pool_(options_.threads), budget_(options_.memory_bytes), quota_(options_.spill_quota_bytes) {}

void Executor::run() {
  for (const auto& task : plan_.tasks) run_task(task);
}

const data::DatasetReader& Executor::reader(size_t node, const std::string& output) {
  auto& slot = readers_[{node, output}];
  if (!slot) slot = std::make_unique<data::DatasetReader>(directory_.dataset(plan_.graph.nodes[node].step.id, output));
  return *slot;
}

void Executor::tell(const std::string& text, double fraction, int64_t rows) {
  if (comm_.rank() != 0 || !options_.progress || !current_) return;
  const auto& step = plan_.graph.nodes[current_->node].step;
  options_.progress({step.id, step.op, text, fraction, rows, task_watch_.seconds(), false, false});
}

void Executor::stop_if_wished() {
  if (comm_.allreduce(stop_wished() ? 1 : 0, comm::Op::kMax)) throw graph::stopped();
}

void Executor::save_outputs(const graph::Node& node) const {
  for (const auto& [name, path] : plan_.graph.save) {
    auto output = graph::Job::parse_ref(name, {});
    if (output.step != node.step.id) continue;
    fs::path from = directory_.dataset(output.step, output.output), manifest = fs::path(path) / "manifest.json";
    if (!data::DatasetReader::exists(from)) throw job_error("'save' names '{}', but step '{}' ({}) writes no such dataset", name, node.step.id, node.step.op);
    if (!fs::exists(manifest) || read_file(manifest) != read_file(from / "manifest.json")) data::copy_dataset(from, path);
  }
}

void Executor::run_task(const Task& task) {
  const auto& node = plan_.graph.nodes[task.node];
  current_ = &task;
  task_watch_ = Stopwatch();
  stop_if_wished();

  // Rank 0 decides whether the task is done; the ranks must not look at the disk each for themselves.
  std::string decision = "run";
  if (comm_.rank() == 0) {
    auto old = directory_.record(node.step.id);
    bool data_there = true;
    if (old && old->key == task.key) {
      if (!old->content_hash.empty()) data_there = data::DatasetReader::exists(directory_.dataset(node.step.id));
      for (const auto& [name, summary] : old->outputs.items())
        data_there = data_there && data::DatasetReader::exists(directory_.dataset(node.step.id, name));
      if (auto* collective = dynamic_cast<const graph::CollectiveOperator*>(node.op.get())) data_there = data_there && collective->results_there(directory_.path());
      if (data_there) decision = "skip";
    }
    if (decision == "run") {
      directory_.remove_record(node.step.id);
      std::error_code ignored;
      fs::path keyfile = directory_.step(node.step.id) / "started.key";
      bool same = fs::exists(keyfile) && read_file(keyfile) == task.key;
      if (!(options_.resume && same)) fs::remove_all(directory_.step(node.step.id), ignored);
      for (size_t n : nodes_of(task))  // what steps fused into this one kept aside
        if (n != task.node) fs::remove_all(directory_.state(plan_.graph.nodes[n].step.id), ignored);
      make_folder(directory_.state(node.step.id));
      write_file_atomically(keyfile, task.key);
    }
  }
  comm_.broadcast(decision);
  if (decision == "skip") {
    if (comm_.rank() == 0) {
      save_outputs(node);
      records_.push_back(*directory_.record(node.step.id));
      skipped_.insert(node.step.id);
      if (options_.progress) options_.progress({node.step.id, node.step.op, "unchanged", 1, records_.back().rows, 0, true, true});
    }
    return;
  }

  for (size_t n : nodes_of(task)) plan_.graph.nodes[n].op->folder = directory_.state(plan_.graph.nodes[n].step.id);

  tell("", 0);
  StepRecord record;
  record.id = node.step.id, record.op = node.step.op, record.key = task.key;
  if (task.stages.empty()) {
    try {
      run_collective(task, record);
    } catch (const Error& e) {
      throw in_step(e, node, int64_t(task.node), -1);
    }
  } else {
    auto manifest = run_stages(task, record);
    record.rows = manifest.num_rows(), record.bytes = manifest.num_bytes(), record.content_hash = manifest.content_hash();
  }
  collect_counts(task, record);
  record.seconds = task_watch_.seconds();
  if (comm_.rank() == 0) {
    directory_.write_record(record);
    save_outputs(node);
    records_.push_back(record);
    if (options_.progress) options_.progress({node.step.id, node.step.op, "", 1, record.rows, record.seconds, true, false});
  }
  comm_.barrier();
}

void Executor::run_collective(const Task& task, StepRecord& record) {
  auto& node = plan_.graph.nodes[task.node];
  auto& op = static_cast<graph::CollectiveOperator&>(*node.op);
  StepContext context(*this, task, record);
  if (plan_.replay) {
    op.load(RunDirectory(options_.learned_from).state(node.step.id));
    op.replay(context);
  } else {
    op.run(context);
  }
  context.commit(task.key);
}

int64_t Executor::num_partitions(const Stage& stage) { return partitions_of(stage.head_node, stage.head_output, stage.head == Stage::Head::kDataset); }

int64_t Executor::partitions_of(size_t node, const std::string& output, bool stored) {
  if (stored) return reader(node, output).num_partitions();
  const auto& n = plan_.graph.nodes[node];
  if (auto* source = dynamic_cast<const graph::SourceOperator*>(n.op.get())) return source->num_partitions();
  int64_t most = 0;
  for (size_t k = 0; k < (n.op->shape() == graph::Shape::kMap ? 1 : n.inputs.size()); ++k) most = std::max(most, partitions_of(n.inputs[k], n.outputs[k], plan_.materialised[n.inputs[k]]));
  return most;
}

void Executor::note_hot_key(const std::string& step, const LargeGroup& group) {
  hot_keys_.push_back({-group.rows, step, group.key});
  std::sort(hot_keys_.begin(), hot_keys_.end());
  if (hot_keys_.size() > kHotKeys) hot_keys_.pop_back();
}

data::Manifest Executor::run_stages(const Task& task, StepRecord& record) {
  const auto& node = plan_.graph.nodes[task.node];
  for (const Stage& stage : task.stages) {
    if (stage.tail == Stage::Tail::kExchange) {
      auto fresh = std::make_unique<Buckets>(resources());
      Exchange exchange(comm_, partitions_of(stage.tail_node, "", false), num_exchanges_++, *fresh);
      send_stage(stage, exchange);
      record.bytes_shuffled += exchange.bytes();
      drop_buckets(stage);
      buckets_[{stage.tail_node, stage.tail_input}] = std::move(fresh);
      continue;
    }
    data::Schema schema = plan_.schema_of(stage.tail_node);
    data::DatasetWriter writer(directory_.dataset(node.step.id), schema, comm_);
    int64_t rows = 0;
    for_each_piece<Batch>(stage, [](Place&, Batch batch) { return batch; }, [&](Place at, Batch batch) {
      rows += batch.num_rows();
      writer.write(at.partition, conform(batch, schema, node.step.id));
      tell("", at.fraction, rows * comm_.size());
    });
    drop_buckets(stage);
    return writer.commit(num_partitions(stage), task.key);
  }
  throw bug("task '{}' writes nothing", node.step.id);
}

// What a stage that grouped has read is no longer needed.
void Executor::drop_buckets(const Stage& stage) {
  if (stage.head != Stage::Head::kExchange) return;
  for (size_t k = 0; k < plan_.graph.nodes[stage.head_node].inputs.size(); ++k) buckets_.erase({stage.head_node, k});
}

void Executor::count_rows(size_t node, int64_t rows, double seconds) {
  std::lock_guard lock(counts_mutex_);
  auto& c = counts_[node];
  c.first += rows;
  c.second += seconds;
}

Batch Executor::apply_maps(const Stage& stage, Batch batch) {
  for (size_t m : stage.maps) {
    const auto& node = plan_.graph.nodes[m];
    Stopwatch watch;
    try {
      batch = static_cast<const graph::MapOperator&>(*node.op).map(batch);
    } catch (const Error& e) {
      throw in_step(e, node, int64_t(m), batch.origin.partition);
    }
    count_rows(m, batch.num_rows(), watch.seconds());
  }
  return batch;
}

data::Schema Executor::input_schema(size_t node, size_t input) {
  const auto& n = plan_.graph.nodes[node];
  return n.outputs[input].empty() ? plan_.schema_of(n.inputs[input]) : reader(n.inputs[input], n.outputs[input]).schema();
}

std::shared_ptr<const data::Schema> Executor::stored_schema(size_t node, size_t input) {
  const auto& op = static_cast<const graph::KeyedOperator&>(*plan_.graph.nodes[node].op);
  auto schema = std::make_shared<data::Schema>(op.prepared_schema_of(input, input_schema(node, input)));
  schema->add({kOriginColumn, data::Type::kInt64});
  return schema;
}

Grouping Executor::grouping(size_t node) {
  const auto& op = static_cast<const graph::KeyedOperator&>(*plan_.graph.nodes[node].op);
  std::vector<Grouping::Input> inputs;
  for (size_t k = 0; k < plan_.graph.nodes[node].inputs.size(); ++k) inputs.push_back({stored_schema(node, k), sort_columns(op, k)});
  return Grouping(op, std::move(inputs));
}

// Gives the maps of a stage their side inputs, which every rank holds whole. They count against half of the budget.
void Executor::load_sides(const Stage& stage, bool drop) {
  for (size_t m : stage.maps) {
    const auto& node = plan_.graph.nodes[m];
    for (size_t k = 1; k < node.inputs.size(); ++k) {
      const auto& side = reader(node.inputs[k], node.outputs[k]);
      auto& op = static_cast<graph::MapOperator&>(*node.op);
      const uint64_t bytes = 2 * side.manifest().num_bytes();
      if (drop) {
        op.take_side(k, Batch::empty(side.schema()));
        budget_.release(bytes);
        continue;
      }
      if (!budget_.try_reserve(bytes, budget_.limit_bytes() / 2))
        throw system_error("step '{}' ({}): each rank holds all rows of '{}', which take about {}; with a memory budget of {} they do not fit", node.step.id, node.step.op,
                           plan_.graph.nodes[node.inputs[k]].step.id, format_bytes(bytes), format_bytes(budget_.limit_bytes()))
            .with_hint("raise --memory, or have both inputs shuffled (strategy: shuffle)");
      op.take_side(k, side.read_all(node.outputs[k].empty() ? plan_.needed[node.inputs[k]] : graph::Names{}));
    }
  }
}

// What a partition of the stage's head is expected to take while it is worked on, and whether that is too much to be done at once.
Executor::Weight Executor::weight(const Stage& stage, int64_t partition) {
  constexpr uint64_t kWorkingCopies = 4, kSourceBytes = uint64_t{4} << 20;
  uint64_t bytes = 0;
  const data::DatasetReader* stored = stored_head(stage);
  if (stored) bytes = stored->manifest().partitions[size_t(partition)].num_bytes();
  else if (stage.head == Stage::Head::kSource) bytes = kSourceBytes;
  if (stage.head == Stage::Head::kExchange)
    for (size_t k = 0; k < plan_.graph.nodes[stage.head_node].inputs.size(); ++k) bytes += buckets_.at({stage.head_node, k})->size_of(partition);
  bytes *= kWorkingCopies;
  return {bytes, (stored || stage.head == Stage::Head::kExchange) && bytes > budget_.limit_bytes() / 2};
}

// The dataset that a stage reads, where it reads one.
const data::DatasetReader* Executor::stored_head(const Stage& stage) {
  if (stage.head == Stage::Head::kDataset) return &reader(stage.head_node, stage.head_output);
  auto* source = dynamic_cast<const graph::SourceOperator*>(plan_.graph.nodes[stage.head_node].op.get());
  return stage.head == Stage::Head::kSource && source ? source->dataset() : nullptr;
}

// True where a map drops all rows of a piece, by their statistics.
bool Executor::dropped(const Stage& stage, const data::Schema& schema, const data::PiecePlace& piece) {
  std::map<std::string, data::ColumnStatistics> known;
  auto statistics = [&](const std::string& column) -> const data::ColumnStatistics* {
    const int at = schema.find(column);
    if (at < 0) return nullptr;
    const auto& place = piece.columns[size_t(at)];
    return &known.try_emplace(column, data::ColumnStatistics{place.range, piece.num_rows, place.null_count}).first->second;
  };
  for (size_t m : stage.maps) {
    const auto& op = static_cast<const graph::MapOperator&>(*plan_.graph.nodes[m].op);
    if (!op.may_keep(statistics)) return op.skip(piece.num_rows), true;
    if (!op.only_drops()) break;
  }
  return false;
}

// Gives the rows of a partition of the stage's head, after the maps, in batches.
void Executor::produce(const Stage& stage, const Grouping* groups, int64_t partition, Blocks blocks, bool stream, const std::function<void(Batch)>& emit) {
  const auto& node = plan_.graph.nodes[stage.head_node];
  int64_t row = 0, out = 0;
  double seconds = 0;
  Stopwatch watch;
  auto through = [&](Batch batch) {
    seconds += watch.seconds();
    batch.origin = {partition, row};
    row += batch.num_rows();
    if (stage.head != Stage::Head::kDataset) out += batch.num_rows();
    emit(apply_maps(stage, std::move(batch)));
    watch = Stopwatch();
  };
  try {
    if (const data::DatasetReader* from = stored_head(stage)) {
      const graph::Names columns = stage.head_output.empty() ? plan_.needed[stage.head_node] : graph::Names{};
      const auto& pieces = from->manifest().partitions[size_t(partition)].pieces;
      for (size_t k = 0; k < pieces.size(); ++k) {
        if (!dropped(stage, from->schema(), pieces[k])) {
          through(from->read_piece(partition, k, columns));
          continue;
        }
        row += pieces[k].num_rows;
        if (stage.head != Stage::Head::kDataset) out += pieces[k].num_rows;
      }
    } else if (stage.head == Stage::Head::kSource) {
      static_cast<graph::SourceOperator&>(*node.op).read(partition, plan_.needed[stage.head_node], through);
    } else if (stream) {
      groups->stream(partition, std::move(blocks), budget_.limit_bytes() / 2, resources(), through, [&](const LargeGroup& g) { note_hot_key(node.step.id, g); });
    } else {
      through(groups->whole(partition, std::move(blocks)));
    }
  } catch (const Error& e) {
    throw in_step(e, node, int64_t(stage.head_node), partition);
  }
  if (stage.head != Stage::Head::kDataset) count_rows(stage.head_node, out, seconds + watch.seconds());
}

template <class Result>
void Executor::for_each_piece(const Stage& stage, const std::function<Result(Place&, Batch)>& work, const std::function<void(Place, Result)>& body) {
  const int64_t n = num_partitions(stage);
  const int64_t first = data::first_partition(comm_.rank(), comm_.size(), n), owned = data::first_partition(comm_.rank() + 1, comm_.size(), n) - first;
  const auto& head = plan_.graph.nodes[stage.head_node];
  std::optional<Grouping> groups;
  bool sequential = false;
  if (stage.head == Stage::Head::kSource) sequential = static_cast<const graph::SourceOperator&>(*head.op).sequential();
  if (stage.head == Stage::Head::kDataset) reader(stage.head_node, stage.head_output);  // opened by one thread
  if (stage.head == Stage::Head::kExchange) groups.emplace(grouping(stage.head_node));
  const Grouping* grouping = groups ? &*groups : nullptr;
  load_sides(stage, false);
  const data::Schema schema = stage.tail == Stage::Tail::kDataset ? plan_.schema_of(stage.tail_node) : input_schema(stage.tail_node, stage.tail_input);

  struct Item {
    Weight weight;
    bool reserved = false;
    Blocks blocks;
    std::vector<std::pair<Place, Result>> results;
  };
  std::vector<Item> items(static_cast<size_t>(owned));
  size_t taken = 0;
  auto place_of = [&](size_t i) { return Place{first + int64_t(i), 0, double(i + 1) / double(owned)}; };
  // Pieces follow from the rows alone, so that work on a piece (sums, say) gives the same bits within any memory.
  auto run = [&](size_t i, bool stream, const std::function<void(Place, Result)>& done) {
    Place place = place_of(i);
    data::PieceCutter cutter(schema, [&](Batch piece) {
      Result result = work(place, std::move(piece));
      done(place, std::move(result));
    });
    produce(stage, grouping, place.partition, std::move(items[i].blocks), stream, [&](Batch batch) { cutter.add(conform(batch, schema, head.step.id)); });
    cutter.finish();
  };
  auto take_blocks = [&](size_t i) {
    if (stage.head != Stage::Head::kExchange) return;
    for (size_t k = 0; k < head.inputs.size(); ++k) items[i].blocks.push_back(buckets_.at({stage.head_node, k})->take(first + int64_t(i)));
  };
  pool_.ordered_for(
      size_t(owned),
      [&](size_t i, bool must) {
        if (!must && (sequential || i >= taken + 2 * size_t(pool_.num_threads()))) return false;
        Item& item = items[i];
        item.weight = weight(stage, first + int64_t(i));
        if (item.weight.large) return true;  // streamed when its turn comes
        item.reserved = budget_.try_reserve(item.weight.bytes);
        if (!item.reserved && !must) return false;
        take_blocks(i);
        return true;
      },
      [&](size_t i) {
        if (!items[i].weight.large) run(i, false, [&](Place at, Result result) { items[i].results.emplace_back(at, std::move(result)); });
      },
      [&](size_t i) {
        Item& item = items[i];
        if (item.weight.large) {
          take_blocks(i);
          run(i, true, body);
        }
        for (auto& [at, result] : item.results) body(at, std::move(result));
        if (item.reserved) budget_.release(item.weight.bytes);
        item = Item();
        taken = i + 1;
      });
  load_sides(stage, true);
}

void Executor::send_stage(const Stage& stage, Exchange& exchange) {
  const auto& node = plan_.graph.nodes[stage.tail_node];
  const auto& op = static_cast<const graph::KeyedOperator&>(*node.op);
  const data::Schema input = input_schema(stage.tail_node, stage.tail_input), prepared = op.prepared_schema_of(stage.tail_input, input);
  const graph::Names key = op.key_of(stage.tail_input);
  const int64_t targets = partitions_of(stage.tail_node, "", false);
  const bool ranged = op.placement() == graph::KeyedOperator::Placement::kRange;
  const Batch splitters = ranged ? range_splitters(stage, targets) : Batch();
  const auto order = sort_columns(op, stage.tail_input);

  struct Sent {
    int64_t rows = 0;
    std::vector<std::pair<int64_t, Buffer>> blocks;
  };
  auto cut = [&](Place& at, Batch batch) {
    const int64_t p = at.partition;
    Sent sent;
    sent.rows = batch.num_rows();
    try {
      batch = conform(op.prepare_input(stage.tail_input, batch), prepared, node.step.id);
    } catch (const Error& e) {
      throw in_step(e, node, int64_t(stage.tail_node), p);
    }
    const int64_t n = batch.num_rows();
    data::Column origin = data::Column::zeros(data::Type::kInt64, n);
    for (int64_t r = 0; r < n; ++r) origin.mutable_values<int64_t>()[size_t(r)] = (p << kOriginBits) | (at.row + r);
    batch = batch.with({kOriginColumn, data::Type::kInt64}, std::move(origin));
    batch.origin = {p, at.row};
    at.row += n;
    AlignedVector<uint32_t> target(static_cast<size_t>(n));
    if (ranged) {
      ranges_of(batch, splitters, order, target);
    } else if (key.empty()) {
      std::fill(target.begin(), target.end(), 0);
    } else {
      const auto hashes = batch.hash_rows(key);
      for (size_t r = 0; r < hashes.size(); ++r) target[r] = uint32_t(hashes[r] % uint64_t(targets));
    }
    // Rows by target, in their order.
    std::vector<int64_t> ends(size_t(targets) + 1, 0), chosen(static_cast<size_t>(n));
    for (uint32_t t : target) ++ends[t + 1];
    for (size_t t = 1; t < ends.size(); ++t) ends[t] += ends[t - 1];
    const std::vector<int64_t> starts = ends;
    for (int64_t r = 0; r < n; ++r) chosen[size_t(ends[target[size_t(r)]]++)] = r;
    for (size_t t = 0; t < size_t(targets); ++t) {
      if (starts[t] == starts[t + 1]) continue;
      Buffer block;
      batch.serialize(block, std::span(chosen).subspan(size_t(starts[t]), size_t(starts[t + 1] - starts[t])));
      sent.blocks.emplace_back(int64_t(t), std::move(block));
    }
    return sent;
  };
  int64_t rows = 0;
  for_each_piece<Sent>(stage, cut, [&](Place at, Sent sent) {
    rows += sent.rows;
    for (auto& [target, block] : sent.blocks) exchange.send(target, std::move(block));
    tell("shuffling", 0.5 * at.fraction, rows * comm_.size());
  });
  exchange.finish();
}

// Collective. Rows of the input that cut it into `targets` ranges of about equal length: quantiles of a sample, chosen by place so that
// it does not depend on ranks. A row's place in the input is part of the cut: a key that fills many ranges is cut too.
Batch Executor::range_splitters(const Stage& stage, int64_t targets) {
  constexpr int64_t kSampledPartitions = 256, kSamplesPerTarget = 64;
  const auto& op = static_cast<const graph::KeyedOperator&>(*plan_.graph.nodes[stage.tail_node].op);
  const auto order = sort_columns(op, stage.tail_input);
  // The planner sees to it that the input can be read twice: it is a stored dataset, or a source that is one.
  const auto& head = plan_.graph.nodes[stage.head_node];
  const bool stored = stage.head == Stage::Head::kDataset;
  THRONG_CHECK(stage.maps.empty() && stage.head != Stage::Head::kExchange, "step '{}' samples rows that cannot be read twice", plan_.graph.nodes[stage.tail_node].step.id);
  auto* source = dynamic_cast<graph::SourceOperator*>(head.op.get());  // where it is not stored
  const data::Schema in_schema = input_schema(stage.tail_node, stage.tail_input);
  const graph::Names columns = op.needed_columns(stage.tail_input, in_schema, {});
  graph::Names names;
  for (const auto& o : order) names.push_back(o.column);
  auto read = [&](int64_t p) {  // prepared, the columns of the order
    std::vector<Batch> parts;
    auto add = [&](Batch batch) { parts.push_back(op.prepare_input(stage.tail_input, batch).project(names)); };
    if (stored)
      for (size_t k = 0; k < reader(stage.head_node, stage.head_output).manifest().partitions[size_t(p)].pieces.size(); ++k) add(reader(stage.head_node, stage.head_output).read_piece(p, k, columns));
    else source->read(p, columns, add);
    return Batch::concat(in_schema.project(names), parts);
  };
  const int64_t n = num_partitions(stage), sampled = std::min(n, kSampledPartitions);
  const int64_t first = data::first_partition(comm_.rank(), comm_.size(), n), end = data::first_partition(comm_.rank() + 1, comm_.size(), n);
  const int64_t all_rows = stored ? reader(stage.head_node, stage.head_output).manifest().num_rows() : source->estimated_rows();
  const int64_t total = std::max<int64_t>(1, all_rows / std::max<int64_t>(1, n) * sampled);  // about, of the partitions sampled
  auto schema = std::make_shared<data::Schema>(in_schema.project(names));
  schema->add({kOriginColumn, data::Type::kInt64});
  std::vector<Batch> samples;
  for (int64_t i = 0; i < sampled; ++i) {
    const int64_t p = i * n / sampled;
    if (p < first || p >= end) continue;
    const Batch batch = read(p);
    const int64_t rows = batch.num_rows();
    if (rows == 0) continue;
    const int64_t wanted = std::min(rows, kSamplesPerTarget * targets * rows / total + 1);
    std::vector<int64_t> chosen;
    data::Column origin(data::Type::kInt64);
    for (int64_t k = 0; k < wanted; ++k) {
      const int64_t from = k * rows / wanted, width = (k + 1) * rows / wanted - from;
      const int64_t r = from + int64_t(mix64(uint64_t(p) << 32 ^ uint64_t(k)) % uint64_t(std::max<int64_t>(1, width)));
      chosen.push_back(r);
      origin.append((p << kOriginBits) | r);
    }
    samples.push_back(conform(batch.take(chosen).with({kOriginColumn, data::Type::kInt64}, std::move(origin)), *schema, plan_.graph.nodes[stage.tail_node].step.id));
  }
  Buffer packed;
  Batch::concat(*schema, samples).serialize(packed);
  std::vector<Batch> parts;
  for (const auto& text : comm_.allgather(std::string(reinterpret_cast<const char*>(packed.data()), packed.size())))
    parts.push_back(Batch::deserialize(std::as_bytes(std::span(text)), schema));
  Batch all = Batch::concat(*schema, parts);
  auto sorted = data::ordered_rows(all, order, all.column(kOriginColumn).values<int64_t>());
  std::vector<int64_t> cuts;
  for (int64_t t = 1; t < targets && !sorted.empty(); ++t) cuts.push_back(sorted[size_t(t) * sorted.size() / size_t(targets)]);
  return all.take(cuts);
}

void Executor::collect_counts(const Task& task, StepRecord& record) {
  // Rows, worker seconds and counters of every node that ran here, summed over ranks.
  json mine = json::object();
  for (size_t n : nodes_of(task)) {
    const auto& node = plan_.graph.nodes[n];
    json& j = mine[node.step.id];
    auto [rows, seconds] = counts_[n];
    j = {{"op", node.step.op}, {"rows", rows}, {"seconds", seconds}, {"counters", node.op->counters().take()}};
    for (const auto& [name, list] : node.op->counters().take_examples())
      for (const auto& e : list) j["examples"][name].push_back({e.partition, e.row, e.text, e.place});
  }
  counts_.clear();
  json hot = json::array();
  for (const auto& [rows, step, key] : hot_keys_) hot.push_back({rows, step, key});
  hot_keys_.clear();
  mine["*"] = {{"peak", peak_resident_bytes()}, {"shuffled", record.bytes_shuffled}, {"spilled", quota_.take_total()}, {"hot", hot}};
  auto all = comm_.gather(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  if (comm_.rank() != 0) return;
  record.bytes_shuffled = record.bytes_spilled = 0;
  std::vector<json> all_hot;
  for (const auto& text : all) {
    json one = json::parse(text);
    record.peak_memory_bytes = std::max(record.peak_memory_bytes, one["*"]["peak"].get<uint64_t>());
    record.bytes_shuffled += one["*"]["shuffled"].get<uint64_t>();
    record.bytes_spilled += one["*"]["spilled"].get<uint64_t>();
    for (const auto& key : one["*"]["hot"]) all_hot.push_back(key);
    one.erase("*");
    for (auto& [id, j] : one.items()) {
      if (!record.nodes.contains(id)) {
        record.nodes[id] = j;
        continue;
      }
      json& sum = record.nodes[id];
      sum["rows"] = sum["rows"].get<int64_t>() + j["rows"].get<int64_t>();
      sum["seconds"] = sum["seconds"].get<double>() + j["seconds"].get<double>();
      for (auto& [name, count] : j["counters"].items()) sum["counters"][name] = sum["counters"].value(name, int64_t{0}) + count.get<int64_t>();
      if (!j.contains("examples")) continue;
      for (auto& [name, list] : j["examples"].items()) {
        json& kept = sum["examples"][name];
        for (auto& e : list) kept.push_back(e);
        std::sort(kept.begin(), kept.end());  // by partition and row
        while (kept.size() > graph::Counters::kExamples) kept.erase(kept.size() - 1);
      }
    }
  }
  std::sort(all_hot.begin(), all_hot.end());
  for (size_t i = 0; i < std::min(all_hot.size(), kHotKeys); ++i)
    record.metrics["hot_keys"].push_back({{"step", all_hot[i][1]}, {"key", all_hot[i][2]}, {"rows", -all_hot[i][0].get<int64_t>()}});
  // Steps whose rows no map counted: the task's own result.
  if (record.nodes[record.id]["rows"] == 0) record.nodes[record.id]["rows"] = record.rows;
}

}  // namespace throng::engine
