#include "framework/engine/executor.h"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "framework/base/files.h"
#include "framework/base/stop_signal.h"
#include "framework/comm/lanes.h"
#include "framework/engine/task_run.h"

namespace throng::engine {

namespace fs = std::filesystem;

Executor::Executor(Plan& plan, comm::Communicator& comm, RunDirectory directory, ExecutorOptions options)
    : state_(plan, std::move(directory), std::move(options)), comm_(comm), records_(plan.tasks.size()) {}

std::vector<StepRecord> Executor::records() const {
  std::vector<StepRecord> all;
  for (const auto& record : records_)
    if (record) all.push_back(*record);
  return all;
}

bool Executor::run() {
  const auto& options = state_.options();
  for (const auto& task : state_.plan().tasks)
    for (size_t n : nodes_of(task)) state_.node(n).op->folder = state_.directory().state(state_.node(n).step.id);
  const bool any_thread = comm_.allreduce(comm_.transport().any_thread(), comm::Op::kMin) != 0;
  const Branches branches = branches_of(state_.plan());
  Lane lane(state_, comm_, options.memory_bytes);
  for (const auto& segment : branches.segments) {
    if (options.go_on && !options.go_on(state_.plan().tasks[segment.tasks[0]])) return false;
    const size_t num_lanes = segment.lanes(any_thread ? options.branches : 1, options.threads);
    if (num_lanes > 1) run_beside(segment.tasks, branches.after, num_lanes);
    else
      for (size_t t : segment.tasks) run_task(lane, t);
  }
  return true;
}

void Executor::run_beside(const std::vector<size_t>& tasks, const std::vector<std::set<size_t>>& after, size_t num_lanes) {
  comm::Lanes lanes(comm_, int(num_lanes));
  std::mutex mutex;
  std::condition_variable changed;
  std::set<size_t> waiting(tasks.begin(), tasks.end()), undone = waiting;
  size_t working = num_lanes;
  std::optional<Error> error;  // of this rank: the first in the plan's order; "stopped" only where there is no other
  std::exception_ptr failure;  // of another rank
  bool over = false;
  auto ready = [&] {
    return std::find_if(waiting.begin(), waiting.end(), [&](size_t t) { return std::none_of(after[t].begin(), after[t].end(), [&](size_t e) { return undone.count(e) > 0; }); });
  };
  // Rank 0. The next task for a lane; none where the run is over.
  auto choose = [&] {
    std::unique_lock lock(mutex);
    state_.pool().set_callers(int(std::max<size_t>(1, --working)));
    changed.wait(lock, [&] { return over || waiting.empty() || ready() != waiting.end(); });
    state_.pool().set_callers(int(++working));
    if (over || waiting.empty()) return std::string();
    return std::to_string(waiting.extract(ready()).value());
  };
  auto run_lane = [&](comm::Communicator& comm) {
    Lane lane(state_, comm, state_.options().memory_bytes / num_lanes);
    for (;;) {
      std::string chosen = comm.rank() == 0 ? choose() : "";
      comm.broadcast(chosen);
      if (chosen.empty()) return;
      const size_t t = std::stoul(chosen);
      run_task(lane, t);
      std::lock_guard lock(mutex);
      undone.erase(t);
      changed.notify_all();
    }
  };
  auto body = [&](size_t k) {
    std::optional<Error> mine;
    std::exception_ptr of_another;
    try {
      run_lane(lanes[int(k)]);
    } catch (const comm::PeerFailure&) {
      of_another = std::current_exception();
    } catch (...) {
      mine = current_error();
    }
    if (mine && mine->fault() != Fault::kStopped) lanes.fail(*mine);
    std::lock_guard lock(mutex);
    if (mine && (!error || error->fault() == Fault::kStopped || (mine->fault() != Fault::kStopped && mine->before(*error)))) error = mine;
    if (of_another) failure = of_another;
    over = over || mine || of_another;
    state_.pool().set_callers(int(std::max<size_t>(1, --working)));
    changed.notify_all();
  };
  state_.pool().set_callers(int(num_lanes));
  std::vector<std::thread> threads;
  for (size_t k = 1; k < num_lanes; ++k)
    threads.emplace_back([&, k] {
      flush_denormals();
      body(k);
    });
  body(0);
  for (auto& thread : threads) thread.join();
  state_.pool().set_callers(1);
  if (error && (error->fault() != Fault::kStopped || !failure)) throw Error(*error);
  if (failure) std::rethrow_exception(failure);
}

void Executor::tell(const Progress& progress) {
  if (comm_.rank() != 0 || !state_.options().progress) return;
  std::lock_guard lock(mutex_);
  state_.options().progress(progress);
}

void Executor::save_outputs(const graph::Node& node) const {
  for (const auto& [name, path] : state_.plan().graph.save) {
    auto output = graph::Job::parse_ref(name, {});
    if (output.step != node.step.id) continue;
    fs::path from = state_.directory().dataset(output.step, output.output), manifest = fs::path(path) / "manifest.json";
    if (!data::DatasetReader::exists(from)) throw job_error("'save' names '{}', but step '{}' ({}) writes no such dataset", name, node.step.id, node.step.op);
    if (!fs::exists(manifest) || read_file(manifest) != read_file(from / "manifest.json")) data::copy_dataset(from, path);
  }
}

bool Executor::done_before(const Task& task) {
  const auto& node = state_.node(task.node);
  const RunDirectory& directory = state_.directory();
  if (auto old = directory.record(node.step.id); old && old->key == task.key) {
    bool data_there = old->content_hash.empty() || data::DatasetReader::exists(directory.dataset(node.step.id));
    for (const auto& [name, summary] : old->outputs.items()) data_there = data_there && data::DatasetReader::exists(directory.dataset(node.step.id, name));
    if (auto* collective = dynamic_cast<const graph::CollectiveOperator*>(node.op.get())) data_there = data_there && collective->results_there(directory.path());
    if (data_there) return true;
  }
  directory.remove_record(node.step.id);
  std::error_code ignored;
  const fs::path keyfile = directory.step(node.step.id) / "started.key";
  const bool same = fs::exists(keyfile) && read_file(keyfile) == task.key;
  if (!(state_.options().resume && same)) {
    fs::remove_all(directory.step(node.step.id), ignored);
    for (size_t n : nodes_of(task))  // what steps fused into this one kept aside
      if (n != task.node) fs::remove_all(directory.state(state_.node(n).step.id), ignored);
  }
  make_folder(directory.state(node.step.id));
  write_file_atomically(keyfile, task.key);
  return false;
}

void Executor::finish(size_t index, const StepRecord& record, bool skipped) {
  const auto& node = state_.node(state_.plan().tasks[index].node);
  // Where it is unchanged, too: the run before may have been killed in between.
  if (auto* collective = dynamic_cast<const graph::CollectiveOperator*>(node.op.get()); collective && !state_.plan().replay) collective->recorded(state_.directory().state(node.step.id));
  save_outputs(node);
  {
    std::lock_guard lock(mutex_);
    records_[index] = record;
  }
  tell({record.id, record.op, skipped ? "unchanged" : "", 1, record.rows, skipped ? 0 : record.seconds, true, skipped});
}

void Executor::run_task(Lane& lane, size_t index) {
  const Task& task = state_.plan().tasks[index];
  const auto& node = state_.node(task.node);
  comm::Communicator& comm = lane.comm;
  if (comm.allreduce(state_.stop_wished() ? 1 : 0, comm::Op::kMax)) throw graph::stopped();

  // The ranks must not look at the disk each for themselves.
  std::string done = comm.rank() == 0 && done_before(task) ? "done" : "";
  comm.broadcast(done);
  if (!done.empty()) {
    if (comm.rank() == 0) finish(index, *state_.directory().record(node.step.id), true);
    return;
  }

  StepRecord record;
  record.id = node.step.id, record.op = node.step.op, record.key = task.key;
  reset_peak_resident();
  Stopwatch watch;
  comm.line().set_step(node.step.id, node.step.op);  // stays where the step fails
  auto progress = [&](const std::string& text, double fraction, int64_t rows) {
    comm.line().set_progress(text, fraction, rows);
    tell({node.step.id, node.step.op, text, fraction, rows * comm.size(), watch.seconds()});
  };
  progress("", 0, 0);
  TaskRun run(state_, lane, task, record, progress);
  run.run();
  if (comm.rank() == 0) {
    state_.directory().write_record(record);
    run.remove_checkpoint();
    finish(index, record, false);
  }
  comm.barrier();
  comm.line().set_step("", "");
}

}  // namespace throng::engine
