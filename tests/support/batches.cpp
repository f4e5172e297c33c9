#include "tests/support/batches.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "framework/base/stop_signal.h"
#include "framework/comm/threads_backend.h"
#include "jobs/spec/yaml_job.h"

namespace throng::testing {
namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "throng-test-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}
std::string TemporaryFolder::write(const std::string& name, const std::string& content) const {
  fs::create_directories((path_ / name).parent_path());
  std::ofstream(path_ / name, std::ios::binary) << content;
  return (path_ / name).string();
}

namespace {
template <class T>
data::Column fixed(data::Type type, const std::vector<T>& values) {
  data::Column c(type);
  for (T v : values) c.append(v);
  return c;
}
}  // namespace

data::Column strings(const std::vector<std::string>& values) {
  data::Column c(data::Type::kString);
  for (const auto& v : values) c.append_string(v);
  return c;
}
data::Column doubles(const std::vector<double>& values) { return fixed(data::Type::kFloat64, values); }
data::Column integers(const std::vector<int64_t>& values) { return fixed(data::Type::kInt64, values); }
data::Column timestamps(const std::vector<int64_t>& values) { return fixed(data::Type::kTimestamp, values); }
data::Column token_lists(const std::vector<std::vector<std::string>>& values) {
  data::Column c(data::Type::kListString);
  for (const auto& row : values) {
    for (const auto& word : row) c.add_list_string(word);
    c.end_list();
  }
  return c;
}

data::Batch JobRun::rows(const std::string& step, const std::string& output) const {
  return data::DatasetReader(engine::RunDirectory(folder).dataset(step, output)).read_all();
}

JobRun run_job(const std::string& yaml, const TemporaryFolder& folder, const std::string& out, const JobSettings& settings) {
  std::string path = folder.write("job.yaml", yaml);
  JobRun result;
  result.folder = folder / out;
  std::mutex mutex;
  comm::run_on_threads(settings.ranks, [&](comm::Communicator& comm) {
    graph::Faults faults;
    graph::Job job = spec::read_job(path, {}, faults);
    engine::RunOptions options;
    options.out = result.folder;
    options.threads = settings.threads;
    options.memory_bytes = settings.memory_bytes;
    options.resume = settings.resume;
    options.checkpoint_every = settings.checkpoint_every;
    options.progress = settings.progress;
    options.branches = settings.branches;
    auto run = engine::run(job, engine::prepare(job, comm, std::move(faults)), comm, options);
    std::lock_guard lock(mutex);
    for (auto& step : run.steps) result.steps[step.id] = step;
  });
  return result;
}

engine::Plan plan_of(const std::string& yaml, const TemporaryFolder& folder) {
  engine::Plan plan;
  const std::string path = folder.write("job.yaml", yaml);
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    graph::Faults faults;
    graph::Job job = spec::read_job(path, {}, faults);
    plan = engine::prepare(job, comm, std::move(faults));
  });
  return plan;
}

void run_until(const std::string& yaml, const TemporaryFolder& folder, const std::string& out, const std::string& until, const JobSettings& settings) {
  JobSettings stopping = settings;
  stopping.progress = [&](const engine::Progress& p) {
    if (p.text.starts_with(until)) set_stop_wished(true);
  };
  try {
    run_job(yaml, folder, out, stopping);
    ADD_FAILURE() << "did not stop";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kStopped) << error.text();
  }
  set_stop_wished(false);
}

JobRun run_on_all_rank_counts(const std::string& yaml, const TemporaryFolder& folder) {
  JobRun first = run_job(yaml, folder, "ranks1");
  for (int ranks : {2, 3, 5}) {
    JobRun other = run_job(yaml, folder, "ranks" + std::to_string(ranks), {ranks, 2});
    for (const auto& [id, step] : first.steps) {
      EXPECT_EQ(step.content_hash, other.steps.at(id).content_hash) << "step " << id << " on " << ranks << " ranks";
      EXPECT_EQ(step.outputs.dump(), other.steps.at(id).outputs.dump()) << "step " << id << " on " << ranks << " ranks";
    }
  }
  return first;
}

}  // namespace throng::testing
