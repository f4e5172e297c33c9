#include "framework/engine/executor.h"

#include "framework/base/files.h"
#include "framework/base/stop_signal.h"
#include "framework/engine/task_run.h"

namespace throng::engine {

namespace fs = std::filesystem;

Executor::Executor(Plan& plan, comm::Communicator& comm, RunDirectory directory, ExecutorOptions options)
    : state_(plan, std::move(directory), std::move(options)), lane_(comm, state_.options().memory_bytes, state_.options().checkpoint_every) {}

bool Executor::run() {
  for (const auto& task : state_.plan().tasks) {
    if (state_.options().go_on && !state_.options().go_on(task)) return false;
    run_task(task);
  }
  return true;
}

void Executor::tell(Progress progress) const {
  if (lane_.comm.rank() == 0 && state_.options().progress) state_.options().progress(progress);
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

void Executor::run_task(const Task& task) {
  const auto& node = state_.node(task.node);
  const RunDirectory& directory = state_.directory();
  comm::Communicator& comm = lane_.comm;
  if (comm.allreduce(stop_wished() ? 1 : 0, comm::Op::kMax)) throw graph::stopped();

  // The ranks must not look at the disk each for themselves.
  std::string done = comm.rank() == 0 && done_before(task) ? "done" : "";
  comm.broadcast(done);
  if (!done.empty()) {
    if (comm.rank() != 0) return;
    save_outputs(node);
    records_.push_back(*directory.record(node.step.id));
    skipped_.insert(node.step.id);
    tell({node.step.id, node.step.op, "unchanged", 1, records_.back().rows, 0, true, true});
    return;
  }

  for (size_t n : nodes_of(task)) state_.node(n).op->folder = directory.state(state_.node(n).step.id);
  StepRecord record;
  record.id = node.step.id, record.op = node.step.op, record.key = task.key;
  reset_peak_resident();
  Stopwatch watch;
  auto progress = [&](const std::string& text, double fraction, int64_t rows) { tell({node.step.id, node.step.op, text, fraction, rows, watch.seconds()}); };
  progress("", 0, 0);
  TaskRun run(state_, lane_, task, record, progress);
  run.run();
  if (comm.rank() == 0) {
    directory.write_record(record);
    run.remove_checkpoint();
    save_outputs(node);
    records_.push_back(record);
    tell({node.step.id, node.step.op, "", 1, record.rows, record.seconds, true, false});
  }
  comm.barrier();
}

}  // namespace throng::engine
