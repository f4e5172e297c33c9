// What the gateway must not lose, in one SQLite file: users, runs in the order they came, and who did what.
#pragma once
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

namespace throng::service {

enum class Role { kViewer, kSubmitter, kAdmin };
/// "viewer", "submitter", "admin".
std::string role_name(Role role);
std::optional<Role> role_of(const std::string& name);

struct User {
  std::string name;
  Role role = Role::kViewer;
  std::string created;  ///< UTC
};

/// A run as it was asked for. What became of it is in its run directory, once it is handed over.
struct StoredRun {
  enum class Stage { kAccepted, kHanded, kRefused, kCancelled, kResumed, kRemoved };  ///< kResumed: handed once, and waits to go on; kRemoved: its folder goes, then it
  int64_t number = 0;   ///< in the order of submission
  std::string id, job, user, submitted, launcher;
  std::string request;  ///< JSON; left out of lists
  Stage stage = Stage::kAccepted;
  std::string note;     ///< why it was refused, or could not go on
};

struct AuditLine {
  std::string at, user, peer, action, target;
  int status = 0;
};

/// Each change is durable when its call returns. Thread-safe. System errors name the file.
class Store {
 public:
  explicit Store(const std::filesystem::path& file);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Makes a user, or gives one another role, with a new token, which is returned and kept only as its hash.
  std::string put_user(const std::string& name, Role role);
  /// False where there is none.
  bool remove_user(const std::string& name);
  std::vector<User> users() const;
  /// Whose token it is.
  std::optional<User> user_of_token(const std::string& token) const;

  /// Adds a run. Where the user has sent the same `key` before, nothing is added and that run's id is returned.
  std::string add_run(const StoredRun& run, const std::string& key);
  /// The run that the user has sent with that key; empty where there is none.
  std::string run_of_key(const std::string& user, const std::string& key) const;
  void set_stage(const std::string& id, StoredRun::Stage stage, const std::string& note = "");
  /// The same, unless the run has left `from` already; then false.
  bool move_stage(const std::string& id, StoredRun::Stage from, StoredRun::Stage to);
  std::optional<StoredRun> run(const std::string& id) const;
  /// Forgets a run.
  void remove_run(const std::string& id);
  /// Newest first, without requests and those being removed: those before `before` (0: from the newest), at most `limit`.
  std::vector<StoredRun> runs(int64_t before, int limit) const;
  /// Runs on this machine that were handed over, and are not known to be over: ids.
  std::vector<std::string> unended_here() const;
  /// That a run handed over is known to be over, or not any more.
  void set_ended(const std::string& id, bool ended);
  /// Oldest first, without requests.
  std::vector<StoredRun> runs_in(StoredRun::Stage stage) const;
  /// But for those being removed.
  int64_t num_runs() const;

  void audit(const AuditLine& line);
  /// Newest first.
  std::vector<AuditLine> audit_lines(int limit) const;

 private:
  class Statement;
  std::vector<StoredRun> read_runs(Statement& statement) const;

  std::filesystem::path file_;
  sqlite3* db_ = nullptr;
  mutable std::mutex mutex_;
};

}  // namespace throng::service
