// The gateway's runs: accepted, waiting for their turn, handed to a launcher, and what has become of them.
#pragma once
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/launch/look.h"
#include "cluster/service/requests.h"
#include "cluster/service/store.h"
#include "framework/base/clock.h"

namespace throng::service {

/// Threads hand accepted runs over in the order they came: on this machine `at_once` at a time, others at once. What is accepted is in the
/// store before its id is told, and whoever hands it over looks first whether that was done before: so that a killed gateway loses none and
/// starts none twice. Thread-safe. Throws `Refusal`.
class Runs {
 public:
  Runs(RunsOptions options, Store& store);
  ~Runs();
  /// Plans and submissions under way are left to themselves, and nothing is handed over any more.
  void give_up();

  const std::vector<std::string>& launchers() const { return options_.launchers; }
  /// The plan of a job, as `throng plan --json`, with its `drawing`.
  nlohmann::json plan(const nlohmann::json& request);
  /// Accepts a run, and returns its id. With `key`, a second request with the same one gives the same run.
  std::string submit(const nlohmann::json& request, const std::string& user, const std::string& key);
  void cancel(const std::string& id);
  /// Lets a run that has ended otherwise than well go on when its turn comes, from what it has kept.
  void resume(const std::string& id);
  /// Removes a run that is over, and its folder. Its key may be used again.
  void remove(const std::string& id);
  /// Who has submitted it.
  std::string user_of(const std::string& id) const { return stored(id).user; }

  /// Newest first.
  nlohmann::json list(int64_t before, int limit);
  /// All there is to say, but for files and logs.
  nlohmann::json describe(const std::string& id);
  /// The run's directory; refuses ids of no run, and where nothing is there yet.
  std::filesystem::path folder(const std::string& id) const;
  /// Its graph, as SVG; refuses where it has none yet.
  std::string drawing(const std::string& id);
  /// Of the runs that go on.
  std::string metrics();

 private:
  nlohmann::json checked(const std::string& file, const Words& words, bool estimate);
  void check_words(const std::string& file, const std::string& id, const Words& words);
  StoredRun stored(const std::string& id) const;
  launch::Outlook look(const StoredRun& run);
  bool is_active(const std::string& id);
  void hand_over(const std::string& id);
  void end(const std::string& id, const std::string& launcher);
  void end_if_begun(const std::string& id, const std::string& launcher);
  void recover();
  bool has_ended(const StoredRun& run) const;
  void remove_folder(const std::string& id);
  void sweep();
  void remove_tree(const std::filesystem::path& path);
  void wake();
  void start(const std::string& id, const std::function<void()>& work);
  void pass();
  void loop();
  bool is_over();

  RunsOptions options_;
  Store& store_;
  std::filesystem::path folder_of_jobs_, folder_of_removed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false, woken_ = false, to_sweep_ = true;
  int num_plans_ = 0;                    // under way
  std::map<std::string, bool> handing_;  // runs on their way to a launcher; whether on this machine
  std::list<std::pair<std::thread, bool>> workers_;  // with whether they are through
  struct Seen {
    launch::Outlook outlook;
    Stopwatch since;
  };
  std::map<std::string, Seen> seen_;     // of Slurm, which is not asked by each who looks
  std::thread thread_, sweeper_;
};

}  // namespace throng::service
