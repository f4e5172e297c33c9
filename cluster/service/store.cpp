#include "cluster/service/store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "cluster/service/token.h"
#include "framework/base/clock.h"
#include "framework/base/error.h"

namespace throng::service {
namespace {

constexpr std::array<const char*, 3> kRoles = {"viewer", "submitter", "admin"};
constexpr std::array<const char*, 6> kStages = {"accepted", "handed", "refused", "cancelled", "resumed", "removed"};
constexpr int kVersion = 1;

StoredRun::Stage stage_of(const std::string& name) {
  const auto at = std::find(kStages.begin(), kStages.end(), name);
  if (at == kStages.end()) throw system_error("'{}' is no stage of a run", name);
  return StoredRun::Stage(at - kStages.begin());
}

}  // namespace

std::string role_name(Role role) { return kRoles[size_t(role)]; }

std::optional<Role> role_of(const std::string& name) {
  const auto at = std::find(kRoles.begin(), kRoles.end(), name);
  if (at == kRoles.end()) return {};
  return Role(at - kRoles.begin());
}

// A prepared statement under way; values are bound in order.
class Store::Statement {
 public:
  Statement(const Store& store, const char* sql) : store_(store) { check(sqlite3_prepare_v2(store.db_, sql, -1, &statement_, nullptr)); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& bind(const std::string& text) {
    check(sqlite3_bind_text(statement_, ++bound_, text.data(), int(text.size()), SQLITE_TRANSIENT));
    return *this;
  }
  Statement& bind(int64_t number) {
    check(sqlite3_bind_int64(statement_, ++bound_, number));
    return *this;
  }
  /// True where there is a row.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) check(code);
    return code == SQLITE_ROW;
  }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes ? std::string(bytes, size_t(sqlite3_column_bytes(statement_, column))) : "";
  }
  int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  void check(int code) const {
    if (code != SQLITE_OK) throw system_error("{}: {}", store_.file_.string(), sqlite3_errmsg(store_.db_));
  }
  const Store& store_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

Store::Store(const std::filesystem::path& file) : file_(file) {
  const mode_t before = ::umask(0077);  // hashes of tokens and job files are nobody else's
  const int code = sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  ::umask(before);
  const auto execute = [&](const std::string& sql) {
    char* text = nullptr;
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &text) == SQLITE_OK) return;
    const std::string why = text ? text : "";
    sqlite3_free(text);
    throw system_error("{}: {}", file_.string(), why);
  };
  try {
    if (code != SQLITE_OK) throw system_error("{}: cannot be opened: {}", file.string(), db_ ? sqlite3_errmsg(db_) : "no memory");
    sqlite3_busy_timeout(db_, 10000);
    execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
    Statement version(*this, "PRAGMA user_version");
    version.step();
    if (const auto found = version.number(0); found != 0 && found != kVersion) throw system_error("{}: is of version {}, and this program's is {}", file.string(), found, kVersion);
    execute(
        "BEGIN IMMEDIATE;"
        "CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, role TEXT NOT NULL, token_hash TEXT NOT NULL UNIQUE, created TEXT NOT NULL);"
        "CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL, user TEXT NOT NULL, submitted TEXT NOT NULL,"
        "  launcher TEXT NOT NULL, request TEXT NOT NULL, key TEXT, stage TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', UNIQUE (user, key));"
        "CREATE INDEX IF NOT EXISTS runs_by_stage ON runs (stage, ended, launcher, number);"
        "CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, user TEXT NOT NULL, peer TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, status INTEGER NOT NULL);"
        "PRAGMA user_version=" + std::to_string(kVersion) + "; COMMIT;");
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

Store::~Store() { sqlite3_close(db_); }

std::string Store::put_user(const std::string& name, Role role) {
  const std::string token = random_token();
  std::lock_guard lock(mutex_);
  Statement(*this, "INSERT INTO users (name, role, token_hash, created) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = excluded.role, token_hash = excluded.token_hash")
      .bind(name).bind(role_name(role)).bind(hash_of_token(token)).bind(utc_text()).step();
  return token;
}

bool Store::remove_user(const std::string& name) {
  std::lock_guard lock(mutex_);
  Statement(*this, "DELETE FROM users WHERE name = ?").bind(name).step();
  return sqlite3_changes(db_) > 0;
}

std::vector<User> Store::users() const {
  std::lock_guard lock(mutex_);
  std::vector<User> all;
  Statement found(*this, "SELECT name, role, created FROM users ORDER BY name");
  while (found.step()) all.push_back({found.text(0), role_of(found.text(1)).value_or(Role::kViewer), found.text(2)});
  return all;
}

std::optional<User> Store::user_of_token(const std::string& token) const {
  std::lock_guard lock(mutex_);
  // By the hash of a random token: how long the look-up takes tells nothing of it.
  Statement found(*this, "SELECT name, role, created FROM users WHERE token_hash = ?");
  found.bind(hash_of_token(token));
  if (!found.step()) return {};
  return User{found.text(0), role_of(found.text(1)).value_or(Role::kViewer), found.text(2)};
}

std::string Store::add_run(const StoredRun& run, const std::string& key) {
  std::lock_guard lock(mutex_);
  if (!key.empty()) {
    Statement before(*this, "SELECT id FROM runs WHERE user = ? AND key = ?");
    if (before.bind(run.user).bind(key).step()) return before.text(0);
  }
  Statement(*this, "INSERT INTO runs (id, job, user, submitted, launcher, request, key, stage) VALUES (?, ?, ?, ?, ?, ?, nullif(?, ''), ?)")
      .bind(run.id).bind(run.job).bind(run.user).bind(run.submitted).bind(run.launcher).bind(run.request).bind(key).bind(kStages[size_t(run.stage)]).step();
  return run.id;
}

std::string Store::run_of_key(const std::string& user, const std::string& key) const {
  std::lock_guard lock(mutex_);
  Statement found(*this, "SELECT id FROM runs WHERE user = ? AND key = ?");
  return found.bind(user).bind(key).step() ? found.text(0) : "";
}

std::vector<std::string> Store::unended_here() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  Statement found(*this, "SELECT id FROM runs WHERE stage = 'handed' AND ended = 0 AND launcher = 'local'");
  while (found.step()) ids.push_back(found.text(0));
  return ids;
}

void Store::set_ended(const std::string& id, bool ended) {
  std::lock_guard lock(mutex_);
  Statement(*this, "UPDATE runs SET ended = ? WHERE id = ?").bind(int64_t{ended}).bind(id).step();
}

void Store::set_stage(const std::string& id, StoredRun::Stage stage, const std::string& note) {
  std::lock_guard lock(mutex_);
  Statement(*this, "UPDATE runs SET stage = ?, note = ? WHERE id = ?").bind(kStages[size_t(stage)]).bind(note).bind(id).step();
}

bool Store::move_stage(const std::string& id, StoredRun::Stage from, StoredRun::Stage to) {
  std::lock_guard lock(mutex_);
  Statement(*this, "UPDATE runs SET stage = ? WHERE id = ? AND stage = ?").bind(kStages[size_t(to)]).bind(id).bind(kStages[size_t(from)]).step();
  return sqlite3_changes(db_) > 0;
}

#define THRONG_RUN_COLUMNS "SELECT number, id, job, user, submitted, launcher, stage, note, '' FROM runs "

std::vector<StoredRun> Store::read_runs(Statement& found) const {
  std::vector<StoredRun> all;
  while (found.step()) all.push_back({found.number(0), found.text(1), found.text(2), found.text(3), found.text(4), found.text(5), found.text(8), stage_of(found.text(6)), found.text(7)});
  return all;
}

void Store::remove_run(const std::string& id) {
  std::lock_guard lock(mutex_);
  Statement(*this, "DELETE FROM runs WHERE id = ?").bind(id).step();
}

std::optional<StoredRun> Store::run(const std::string& id) const {
  std::lock_guard lock(mutex_);
  Statement found(*this, "SELECT number, id, job, user, submitted, launcher, stage, note, request FROM runs WHERE id = ?");
  auto all = read_runs(found.bind(id));
  if (all.empty()) return {};
  return std::move(all[0]);
}

std::vector<StoredRun> Store::runs(int64_t before, int limit) const {
  std::lock_guard lock(mutex_);
  Statement found(*this, THRONG_RUN_COLUMNS "WHERE number < ? AND stage <> 'removed' ORDER BY number DESC LIMIT ?");
  return read_runs(found.bind(before > 0 ? before : INT64_MAX).bind(int64_t{limit}));
}

std::vector<StoredRun> Store::runs_in(StoredRun::Stage stage) const {
  std::lock_guard lock(mutex_);
  Statement found(*this, THRONG_RUN_COLUMNS "WHERE stage = ? ORDER BY number");
  return read_runs(found.bind(kStages[size_t(stage)]));
}

#undef THRONG_RUN_COLUMNS

int64_t Store::num_runs() const {
  std::lock_guard lock(mutex_);
  Statement found(*this, "SELECT count(*) FROM runs WHERE stage <> 'removed'");
  found.step();
  return found.number(0);
}

void Store::audit(const AuditLine& line) {
  std::lock_guard lock(mutex_);
  Statement(*this, "INSERT INTO audit (at, user, peer, action, target, status) VALUES (?, ?, ?, ?, ?, ?)")
      .bind(line.at).bind(line.user).bind(line.peer).bind(line.action).bind(line.target).bind(int64_t{line.status}).step();
}

std::vector<AuditLine> Store::audit_lines(int limit) const {
  std::lock_guard lock(mutex_);
  std::vector<AuditLine> all;
  Statement found(*this, "SELECT at, user, peer, action, target, status FROM audit ORDER BY number DESC LIMIT ?");
  found.bind(int64_t{limit});
  while (found.step()) all.push_back({found.text(0), found.text(1), found.text(2), found.text(3), found.text(4), int(found.number(5))});
  return all;
}

}  // namespace throng::service
