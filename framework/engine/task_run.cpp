#include "framework/engine/task_run.h"

#include <algorithm>
#include <utility>

#include "framework/base/files.h"
#include "framework/base/spill_arena.h"
#include "framework/engine/branches.h"
#include "framework/engine/conform.h"
#include "framework/engine/step_context.h"

namespace throng::engine {

using data::Batch;

TaskRun::TaskRun(RankState& state, Lane& lane, const Task& task, StepRecord& record, Tell tell)
    : state_(state),
      lane_(lane),
      task_(task),
      node_(state.node(task.node)),
      record_(record),
      tell_(std::move(tell)),
      sides_(state.plan(), lane.budget, [&state](size_t node, const std::string& output) -> const data::DatasetReader& { return state.reader(node, output); }) {}

void TaskRun::run() {
  if (task_.stages.empty()) {
    try {
      run_collective();
    } catch (const Error& e) {
      throw in_step(e, node_, int64_t(task_.node), -1);
    }
  } else {
    const auto manifest = run_stages();
    record_.rows = manifest.num_rows(), record_.bytes = manifest.num_bytes(), record_.content_hash = manifest.content_hash();
  }
  collect_counts();
  // Steps whose rows no map counted: the task's own result.
  if (lane_.comm.rank() == 0 && record_.nodes[record_.id]["rows"] == 0) record_.nodes[record_.id]["rows"] = record_.rows;
  record_.seconds += watch_.seconds();
  for (auto& [id, counted] : record_.nodes.items()) counted.erase("hitters");  // kept for checkpoints only
}

void TaskRun::remove_checkpoint() {
  if (checkpoints_) checkpoints_->remove();
}

void TaskRun::collect_counts() { counts_.collect(state_.plan().graph, nodes_of(task_), lane_.quota.take_total(), lane_.comm, record_); }

void TaskRun::run_collective() {
  auto& op = static_cast<graph::CollectiveOperator&>(*node_.op);
  SpillArena arena(lane_.budget, lane_.quota);
  StepContext context({lane_.comm, state_.pool(), state_.directory(), state_.plan().replay ? std::filesystem::path(state_.options().learned_from) : std::filesystem::path(), [this](size_t n, const std::string& output) -> const data::DatasetReader& { return state_.reader(n, output); },
                       [this](const std::string& text, double fraction) { tell_(text, fraction, 0); },
                       [this] { return state_.stop_wished(); }, arena},
                      state_.plan(), task_.node, record_);
  if (state_.plan().replay) {
    op.load(RunDirectory(state_.options().learned_from).state(node_.step.id));
    op.replay(context);
  } else {
    op.run(context);
  }
  context.commit(task_.key);
}

data::Manifest TaskRun::run_stages() {
  auto make_buckets = [&] { return std::make_unique<Buckets>(Resources{lane_.budget, lane_.quota, temporary_folder()}); };
  sides_.reserve(task_);
  checkpoints_.emplace(state_.directory().step(node_.step.id) / "checkpoint", task_.key, lane_.comm);
  Checkpoint kept;
  if (state_.options().resume)
    if (auto found = checkpoints_->load(buckets_, make_buckets, [&](size_t keyed) { return state_.partitions_of(keyed, "", false); })) kept = std::move(*found);
  if (!kept.record.key.empty()) record_ = kept.record;
  for (size_t s = 0; s < task_.stages.size(); ++s) {
    const Stage& stage = task_.stages[s];
    const bool sends = stage.tail == Stage::Tail::kExchange;
    if (sends && !buckets_[{stage.tail_node, stage.tail_input}]) buckets_[{stage.tail_node, stage.tail_input}] = make_buckets();
    if (s < kept.stage) continue;
    const std::vector<int64_t> finished = s == kept.stage ? kept.finished : std::vector<int64_t>();
    if (!sends) return write(s, finished, s == kept.stage ? kept.written : "");
    send(s, finished);
    drop_buckets(stage);
  }
  throw bug("task '{}' writes nothing", node_.step.id);
}

data::Manifest TaskRun::write(size_t s, const std::vector<int64_t>& finished, const std::string& written) {
  const Stage& stage = task_.stages[s];
  const data::Schema schema = state_.plan().schema_of(stage.tail_node);
  data::DatasetWriter writer(state_.directory().dataset(node_.step.id), schema, lane_.comm, written);
  int64_t rows = 0, last = -1;
  auto write = [&](Place& at, Batch batch) -> StagePass::Rest {
    return [&, at, batch = std::move(batch)] {
      if (std::lower_bound(finished.begin(), finished.end(), last) != std::lower_bound(finished.begin(), finished.end(), at.partition)) writer.end_part();
      last = at.partition;
      rows += batch.num_rows();
      writer.write(at.partition, conform(batch, schema, node_.step.id));
      tell_("", at.fraction, rows);
    };
  };
  StagePass stage_pass = pass(stage);
  run_rounds(s, finished, [&](std::span<const int64_t> todo) { return stage_pass.for_each_piece(todo, write); }, [] {}, [&] { return writer.keep(); });
  drop_buckets(stage);
  return writer.commit(state_.num_partitions(stage), task_.key);
}

void TaskRun::send(size_t s, const std::vector<int64_t>& finished) {
  const Stage& stage = task_.stages[s];
  const auto& node = state_.node(stage.tail_node);
  const auto& op = static_cast<const graph::KeyedOperator&>(*node.op);
  StagePass stage_pass = pass(stage);
  const data::Schema prepared = op.prepared_schema_of(stage.tail_input, state_.input_schema(stage.tail_node, stage.tail_input));
  const int64_t targets = state_.partitions_of(stage.tail_node, "", false);
  const bool ranged = op.placement() == graph::KeyedOperator::Placement::kRange;
  const Routing routing(op, stage.tail_input, targets, ranged ? range_splitters(lane_.comm, stage_pass.sampled_input(), sort_columns(op, stage.tail_input), targets) : Batch());
  Exchange exchange(lane_.comm, targets, lane_.num_exchanges++, *buckets_.at({stage.tail_node, stage.tail_input}), state_.options().exchange);
  int64_t rows = 0;

  struct Sent {
    int64_t rows = 0;
    std::vector<Routing::Block> blocks;
    HeavyHitters hitters;
  };
  auto cut_and_send = [&](Place& at, Batch batch) -> StagePass::Rest {
    auto sent = std::make_shared<Sent>();
    sent->rows = batch.num_rows();
    try {
      batch = conform(op.prepare_input(stage.tail_input, batch), prepared, node.step.id);
    } catch (const Error& e) {
      throw in_step(e, node, int64_t(stage.tail_node), at.partition);
    }
    sent->blocks = routing.blocks(batch, at.partition, at.row, &sent->hitters);
    at.row += batch.num_rows();
    return [&, at, sent] {
      rows += sent->rows;
      counts_.add_hitters(stage.tail_node, stage.tail_input, at.partition, sent->hitters);
      for (auto& [target, block] : sent->blocks) exchange.send(target, std::move(block));
      tell_("shuffling", 0.5 * at.fraction, rows);
    };
  };
  uint64_t counted = 0;
  auto drain = [&] {
    exchange.drain(false);
    counts_.add_shuffled(stage.tail_node, stage.tail_input, exchange.bytes() - std::exchange(counted, exchange.bytes()));
  };
  run_rounds(s, finished, [&](std::span<const int64_t> todo) { return stage_pass.for_each_piece(todo, cut_and_send); }, drain, [] { return std::string(); });
}

void TaskRun::run_rounds(size_t s, const std::vector<int64_t>& finished, const std::function<size_t(std::span<const int64_t>)>& run, const std::function<void()>& meet,
                         const std::function<std::string()>& written) {
  const comm::Communicator& comm = lane_.comm;
  const int64_t n = state_.num_partitions(task_.stages[s]);
  std::vector<int64_t> todo;
  for (int64_t p = data::first_partition(comm.rank(), comm.size(), n); p < data::first_partition(comm.rank() + 1, comm.size(), n); ++p)
    if (!std::binary_search(finished.begin(), finished.end(), p)) todo.push_back(p);
  for (size_t done = 0;;) {
    done += run(std::span(todo).subspan(done));
    meet();
    const auto meeting = lane_.rounds.meet(done == todo.size());
    if (meeting.through) return;
    Checkpoint checkpoint{s, {todo.begin(), todo.begin() + ptrdiff_t(done)}, written(), {}};
    if (comm.rank() == 0) checkpoint.finished.insert(checkpoint.finished.end(), finished.begin(), finished.end());
    collect_counts();
    record_.metrics["checkpoints"] = record_.metrics.value("checkpoints", 0) + 1;
    checkpoint.record = record_;
    checkpoint.record.seconds += watch_.seconds();
    checkpoints_->save(checkpoint, buckets_);
    if (meeting.stop) throw graph::stopped();
  }
}

// What a stage that grouped has read is no longer needed.
void TaskRun::drop_buckets(const Stage& stage) {
  if (stage.head != Stage::Head::kExchange) return;
  for (size_t k = 0; k < state_.node(stage.head_node).inputs.size(); ++k) buckets_.erase({stage.head_node, k});
}

}  // namespace throng::engine
