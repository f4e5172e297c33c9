#include "framework/engine/executor.h"

#include <algorithm>
#include <cstdlib>

#include "framework/base/files.h"
#include "framework/base/stop_signal.h"
#include "framework/base/units.h"
#include "framework/engine/conform.h"
#include "framework/engine/step_context.h"

namespace throng::engine {

namespace fs = std::filesystem;
using data::Batch;

namespace {

// The node of a task, and those fused into it.
std::set<size_t> nodes_of(const Task& task) {
  std::set<size_t> nodes{task.node};
  for (const auto& s : task.stages) {
    if (s.head != Stage::Head::kDataset) nodes.insert(s.head_node);
    nodes.insert(s.maps.begin(), s.maps.end());
  }
  return nodes;
}

Error in_step(Error error, const graph::Node& node, int64_t step, int64_t partition) {
  if (error.step() < 0 && error.fault() != Fault::kStopped)
    error.prefix(fmt::format("step '{}' ({}): ", node.step.id, node.step.op));
  error.at(step, partition, 0);
  return error;
}

}  // namespace

Executor::Executor(Plan& plan, comm::Communicator& comm, RunDirectory directory, ExecutorOptions options)
    : plan_(plan), comm_(comm), directory_(std::move(directory)), options_(std::move(options)), pool_(options_.threads), budget_(options_.memory_bytes), quota_(options_.spill_quota_bytes), rounds_(comm, options_.checkpoint_every), sides_(plan, budget_, [this](size_t node, const std::string& output) -> const data::DatasetReader& { return reader(node, output); }) {}

bool Executor::run() {
  for (const auto& task : plan_.tasks) {
    if (options_.go_on && !options_.go_on(task)) return false;
    run_task(task);
  }
  return true;
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
      if (!(options_.resume && same)) {
        fs::remove_all(directory_.step(node.step.id), ignored);
        for (size_t n : nodes_of(task))  // what steps fused into this one kept aside
          if (n != task.node) fs::remove_all(directory_.state(plan_.graph.nodes[n].step.id), ignored);
      }
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
  reset_peak_resident();
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
  // Steps whose rows no map counted: the task's own result.
  if (comm_.rank() == 0 && record.nodes[record.id]["rows"] == 0) record.nodes[record.id]["rows"] = record.rows;
  record.seconds += task_watch_.seconds();
  for (auto& [id, counted] : record.nodes.items()) counted.erase("hitters");  // kept for checkpoints only
  if (comm_.rank() == 0) {
    directory_.write_record(record);
    if (checkpoints_) checkpoints_->remove();
    save_outputs(node);
    records_.push_back(record);
    if (options_.progress) options_.progress({node.step.id, node.step.op, "", 1, record.rows, record.seconds, true, false});
  }
  checkpoints_.reset();
  comm_.barrier();
}

void Executor::collect_counts(const Task& task, StepRecord& record) {
  counts_.collect(plan_.graph, nodes_of(task), quota_.take_total(), comm_, record);
}

void Executor::run_collective(const Task& task, StepRecord& record) {
  auto& node = plan_.graph.nodes[task.node];
  auto& op = static_cast<graph::CollectiveOperator&>(*node.op);
  StepContext context({comm_, pool_, directory_, [this](size_t n, const std::string& output) -> const data::DatasetReader& { return reader(n, output); },
                       [this](const std::string& text, double fraction) { tell(text, fraction); }},
                      plan_, task.node, record);
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

data::Manifest Executor::run_stages(const Task& task, StepRecord& record) {
  const auto& node = plan_.graph.nodes[task.node];
  auto make_buckets = [&] { return std::make_unique<Buckets>(resources()); };
  sides_.reserve(task);
  checkpoints_.emplace(directory_.step(node.step.id) / "checkpoint", task.key, comm_);
  Checkpoint kept;
  if (options_.resume)
    if (auto found = checkpoints_->load(buckets_, make_buckets, [&](size_t keyed) { return partitions_of(keyed, "", false); })) kept = std::move(*found);
  if (!kept.record.key.empty()) record = kept.record;
  for (size_t s = 0; s < task.stages.size(); ++s) {
    const Stage& stage = task.stages[s];
    if (stage.tail == Stage::Tail::kExchange && !buckets_[{stage.tail_node, stage.tail_input}]) buckets_[{stage.tail_node, stage.tail_input}] = make_buckets();
    if (s < kept.stage) continue;
    const std::vector<int64_t> finished = s == kept.stage ? kept.finished : std::vector<int64_t>();
    if (stage.tail == Stage::Tail::kExchange) {
      send_stage(task, record, s, finished);
      drop_buckets(stage);
      continue;
    }
    data::Schema schema = plan_.schema_of(stage.tail_node);
    data::DatasetWriter writer(directory_.dataset(node.step.id), schema, comm_, s == kept.stage ? kept.written : "");
    int64_t rows = 0, last = -1;
    auto write = [&](Place at, Batch batch) {
      if (std::lower_bound(finished.begin(), finished.end(), last) != std::lower_bound(finished.begin(), finished.end(), at.partition)) writer.end_part();
      last = at.partition;
      rows += batch.num_rows();
      writer.write(at.partition, conform(batch, schema, node.step.id));
      tell("", at.fraction, rows * comm_.size());
    };
    run_rounds(task, record, s, finished, [&](std::span<const int64_t> todo) { return for_each_piece<Batch>(stage, todo, [](Place&, Batch batch) { return batch; }, write); }, [] {},
               [&] { return writer.keep(); });
    drop_buckets(stage);
    return writer.commit(num_partitions(stage), task.key);
  }
  throw bug("task '{}' writes nothing", node.step.id);
}

void Executor::run_rounds(const Task& task, StepRecord& record, size_t s, const std::vector<int64_t>& finished, const std::function<size_t(std::span<const int64_t>)>& run,
                          const std::function<void()>& meet, const std::function<std::string()>& written) {
  const int64_t n = num_partitions(task.stages[s]);
  std::vector<int64_t> todo;
  for (int64_t p = data::first_partition(comm_.rank(), comm_.size(), n); p < data::first_partition(comm_.rank() + 1, comm_.size(), n); ++p)
    if (!std::binary_search(finished.begin(), finished.end(), p)) todo.push_back(p);
  for (size_t done = 0;;) {
    done += run(std::span(todo).subspan(done));
    meet();
    const auto meeting = rounds_.meet(done == todo.size());
    if (meeting.through) return;
    Checkpoint checkpoint{s, {todo.begin(), todo.begin() + ptrdiff_t(done)}, written(), {}};
    if (comm_.rank() == 0) checkpoint.finished.insert(checkpoint.finished.end(), finished.begin(), finished.end());
    collect_counts(task, record);
    record.metrics["checkpoints"] = record.metrics.value("checkpoints", 0) + 1;
    checkpoint.record = record;
    checkpoint.record.seconds += task_watch_.seconds();
    checkpoints_->save(checkpoint, buckets_);
    if (meeting.stop) throw graph::stopped();
  }
}

// What a stage that grouped has read is no longer needed.
void Executor::drop_buckets(const Stage& stage) {
  if (stage.head != Stage::Head::kExchange) return;
  for (size_t k = 0; k < plan_.graph.nodes[stage.head_node].inputs.size(); ++k) buckets_.erase({stage.head_node, k});
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
    counts_.add(m, batch.num_rows(), watch.seconds());
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
      groups->stream(partition, std::move(blocks), budget_.limit_bytes() / 2, resources(), through, [&](const LargeGroup& g) { counts_.add_hot_key(node.step.id, g); });
    } else {
      through(groups->whole(partition, std::move(blocks)));
    }
  } catch (const Error& e) {
    throw in_step(e, node, int64_t(stage.head_node), partition);
  }
  if (stage.head != Stage::Head::kDataset) counts_.add(stage.head_node, out, seconds + watch.seconds());
}

template <class Result>
size_t Executor::for_each_piece(const Stage& stage, std::span<const int64_t> partitions, const std::function<Result(Place&, Batch)>& work, const std::function<void(Place, Result)>& body) {
  const auto& head = plan_.graph.nodes[stage.head_node];
  std::optional<Grouping> groups;
  bool sequential = false;
  if (stage.head == Stage::Head::kSource) sequential = static_cast<const graph::SourceOperator&>(*head.op).sequential();
  if (stage.head == Stage::Head::kDataset) reader(stage.head_node, stage.head_output);  // opened by one thread
  if (stage.head == Stage::Head::kExchange) groups.emplace(grouping(stage.head_node));
  const Grouping* grouping = groups ? &*groups : nullptr;
  sides_.load(stage);
  const data::Schema schema = stage.tail == Stage::Tail::kDataset ? plan_.schema_of(stage.tail_node) : input_schema(stage.tail_node, stage.tail_input);

  struct Item {
    Weight weight;
    bool reserved = false;
    Blocks blocks;
    std::vector<std::pair<Place, Result>> results;
  };
  std::vector<Item> items(partitions.size());
  size_t taken = 0;
  auto place_of = [&](size_t i) { return Place{partitions[i], 0, double(i + 1) / double(partitions.size())}; };
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
    for (size_t k = 0; k < head.inputs.size(); ++k) items[i].blocks.push_back(buckets_.at({stage.head_node, k})->take(partitions[i]));
  };
  using Begin = ThreadPool::Begin;
  const size_t through = pool_.ordered_for(
      partitions.size(),
      [&](size_t i, bool must) {
        if (rounds_.due() && (i > 0 || stop_wished())) return Begin::kNoMore;  // a round does something
        if (!must && (sequential || i >= taken + 2 * size_t(pool_.num_threads()))) return Begin::kLater;
        Item& item = items[i];
        item.weight = weight(stage, partitions[i]);
        if (item.weight.large) return Begin::kNow;  // streamed when its turn comes
        item.reserved = budget_.try_reserve(item.weight.bytes);
        if (!item.reserved && !must) return Begin::kLater;
        take_blocks(i);
        return Begin::kNow;
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
  sides_.drop(stage);
  return through;
}

void Executor::send_stage(const Task& task, StepRecord& record, size_t s, const std::vector<int64_t>& finished) {
  const Stage& stage = task.stages[s];
  const auto& node = plan_.graph.nodes[stage.tail_node];
  const auto& op = static_cast<const graph::KeyedOperator&>(*node.op);
  const data::Schema prepared = op.prepared_schema_of(stage.tail_input, input_schema(stage.tail_node, stage.tail_input));
  const int64_t targets = partitions_of(stage.tail_node, "", false);
  const bool ranged = op.placement() == graph::KeyedOperator::Placement::kRange;
  const Routing routing(op, stage.tail_input, targets, ranged ? range_splitters(comm_, sampled_input(stage), sort_columns(op, stage.tail_input), targets) : Batch());

  struct Sent {
    int64_t rows = 0;
    std::vector<Routing::Block> blocks;
    HeavyHitters hitters;
  };
  auto cut = [&](Place& at, Batch batch) {
    Sent sent;
    sent.rows = batch.num_rows();
    try {
      batch = conform(op.prepare_input(stage.tail_input, batch), prepared, node.step.id);
    } catch (const Error& e) {
      throw in_step(e, node, int64_t(stage.tail_node), at.partition);
    }
    sent.blocks = routing.blocks(batch, at.partition, at.row, &sent.hitters);
    at.row += batch.num_rows();
    return sent;
  };
  Exchange exchange(comm_, targets, num_exchanges_++, *buckets_.at({stage.tail_node, stage.tail_input}), options_.exchange);
  int64_t rows = 0;
  auto send = [&](Place at, Sent sent) {
    rows += sent.rows;
    counts_.add_hitters(stage.tail_node, stage.tail_input, at.partition, sent.hitters);
    for (auto& [target, block] : sent.blocks) exchange.send(target, std::move(block));
    tell("shuffling", 0.5 * at.fraction, rows * comm_.size());
  };
  uint64_t counted = 0;
  auto drain = [&] {
    exchange.drain(false);
    counts_.add_shuffled(stage.tail_node, stage.tail_input, exchange.bytes() - std::exchange(counted, exchange.bytes()));
  };
  run_rounds(task, record, s, finished, [&](std::span<const int64_t> todo) { return for_each_piece<Sent>(stage, todo, cut, send); }, drain, [] { return std::string(); });
}

// The prepared rows that a stage sends, the columns of the order. The planner sees to it that they can be read twice: the head is a stored
// dataset, or a source that is one.
SampledInput Executor::sampled_input(const Stage& stage) {
  const auto& op = static_cast<const graph::KeyedOperator&>(*plan_.graph.nodes[stage.tail_node].op);
  const auto& head = plan_.graph.nodes[stage.head_node];
  THRONG_CHECK(stage.maps.empty() && stage.head != Stage::Head::kExchange, "step '{}' samples rows that cannot be read twice", plan_.graph.nodes[stage.tail_node].step.id);
  const data::DatasetReader* stored = stage.head == Stage::Head::kDataset ? &reader(stage.head_node, stage.head_output) : nullptr;
  auto* source = dynamic_cast<graph::SourceOperator*>(head.op.get());  // where it is not stored
  const data::Schema in_schema = input_schema(stage.tail_node, stage.tail_input);
  const graph::Names columns = op.needed_columns(stage.tail_input, in_schema, {});
  graph::Names names;
  for (const auto& o : sort_columns(op, stage.tail_input)) names.push_back(o.column);
  SampledInput input{num_partitions(stage), stored ? stored->manifest().num_rows() : source->estimated_rows(), in_schema.project(names), {}};
  input.read = [=, &op, input_index = stage.tail_input, schema = input.schema](int64_t p) {
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
