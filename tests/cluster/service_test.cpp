// The gateway's parts without its network: the store, files, the routes and who may use them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/service/api.h"
#include "cluster/service/page.h"
#include "cluster/service/token.h"
#include "framework/base/files.h"
#include "tests/support/batches.h"

namespace throng::service {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using nlohmann::json;

class Service : public ::testing::Test {
 protected:
  throng::testing::TemporaryFolder folder_;
};

TEST_F(Service, TokensAreRandomAndKeptAsHashes) {
  const fs::path file = folder_ / "s.sqlite";
  std::string token;
  {
    Store store(file);
    token = store.put_user("ada", Role::kSubmitter);
    EXPECT_EQ(token.size(), 64);
    EXPECT_NE(token, random_token());
    EXPECT_EQ(store.user_of_token(token)->name, "ada");
    EXPECT_FALSE(store.user_of_token(hash_of_token(token)));
    EXPECT_FALSE(store.user_of_token(""));
    const std::string other = store.put_user("ada", Role::kViewer);
    EXPECT_FALSE(store.user_of_token(token)) << "the old one";
    EXPECT_EQ(store.user_of_token(other)->role, Role::kViewer);
    token = other;
    store.put_user("bob", Role::kAdmin);
    EXPECT_EQ(store.users().size(), 2);
    EXPECT_TRUE(store.remove_user("bob"));
    EXPECT_FALSE(store.remove_user("bob"));
  }
  EXPECT_EQ(Store(file).user_of_token(token)->name, "ada") << "after a restart";
  for (const auto& entry : fs::directory_iterator(file.parent_path())) EXPECT_EQ(read_file(entry.path()).find(token), std::string::npos) << entry.path();
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(hash_of_token("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2, B.1
}

StoredRun run_named(const std::string& id) {
  StoredRun run;
  run.id = id, run.job = "j", run.user = "ada", run.submitted = "2026-01-01T00:00:00Z", run.launcher = "local", run.request = R"({"job": "x"})";
  return run;
}

TEST_F(Service, RunsAreInTheirOrderAndKeysAddOnce) {
  Store store(folder_ / "s.sqlite");
  EXPECT_EQ(store.add_run(run_named("a"), "k"), "a");
  EXPECT_EQ(store.add_run(run_named("b"), "k"), "a");
  EXPECT_EQ(store.add_run(run_named("c"), ""), "c");
  EXPECT_EQ(store.add_run(run_named("d"), ""), "d");
  StoredRun of_another = run_named("e");
  of_another.user = "bob";
  EXPECT_EQ(store.add_run(of_another, "k"), "e");
  EXPECT_THROW(store.add_run(run_named("c"), "other"), Error);
  std::vector<std::string> ids;
  for (const auto& run : store.runs(0, 2)) ids.push_back(run.id);
  for (const auto& run : store.runs(store.run("d")->number, 10)) ids.push_back(run.id);
  EXPECT_THAT(ids, ElementsAre("e", "d", "c", "a"));
  EXPECT_EQ(store.num_runs(), 4);
  EXPECT_TRUE(store.move_stage("c", StoredRun::Stage::kAccepted, StoredRun::Stage::kCancelled));
  EXPECT_FALSE(store.move_stage("c", StoredRun::Stage::kAccepted, StoredRun::Stage::kHanded));
  store.set_stage("d", StoredRun::Stage::kRefused, "why");
  EXPECT_EQ(store.run("d")->note, "why");
  EXPECT_EQ(store.runs_in(StoredRun::Stage::kAccepted).size(), 2);
  EXPECT_FALSE(store.run("none"));
  EXPECT_EQ(store.run_of_key("ada", "k"), "a");
  EXPECT_EQ(store.run_of_key("eve", "k"), "");
  store.set_stage("a", StoredRun::Stage::kHanded), store.set_stage("c", StoredRun::Stage::kHanded);
  EXPECT_THAT(store.unended_here(), ::testing::UnorderedElementsAre("a", "c"));
  store.set_ended("a", true);
  EXPECT_THAT(store.unended_here(), ElementsAre("c"));
  EXPECT_EQ(store.run("a")->request, R"({"job": "x"})");
  EXPECT_EQ(store.runs(0, 1)[0].request, "") << "lists leave it out";
}

TEST_F(Service, AStoreOfAnotherVersionOrNoneIsAnError) {
  { Store store(folder_ / "s.sqlite"); }
  std::fstream file(folder_ / "s.sqlite", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(63);  // user_version, big-endian (SQLite's file format, 1.3)
  file.put(9);
  file.close();
  EXPECT_THROW(Store(folder_ / "s.sqlite"), Error);
  std::ofstream(folder_ / "other") << "this is no database, but long enough to be told from an empty file";
  EXPECT_THROW(Store(folder_ / "other"), Error);
  EXPECT_THROW(Store(folder_ / "missing" / "s"), Error);
}

TEST_F(Service, FilesStayBelowTheirFolder) {
  const fs::path root = folder_ / "run";
  fs::create_directories(root / "sub");
  std::ofstream(folder_ / "secret") << "s";
  std::ofstream(root / "sub" / "a.csv") << "a";
  fs::create_symlink(folder_ / "secret", root / "out");
  fs::create_symlink(folder_ / ".", root / "up");
  fs::create_symlink(root / "sub" / "a.csv", root / "in");
  for (const char* name : {"../secret", "sub/../../secret", "/etc/passwd", "out", "up/secret", "sub", "", ".", "missing", "sub/a.csv/x"}) EXPECT_FALSE(file_below(root, name)) << name;
  for (const char* name : {"sub/a.csv", "/sub/a.csv", "sub/../sub/a.csv", "in"}) EXPECT_TRUE(file_below(root, name)) << name;
  const fs::path beside = folder_ / "run2";
  fs::create_directories(beside);
  std::ofstream(beside / "x") << "x";
  EXPECT_FALSE(file_below(root, "../run2/x")) << "a folder whose name begins alike";
  EXPECT_EQ(files_below(root, 100), json::parse(R"([{"path": "sub/a.csv", "bytes": 1}])"));
  EXPECT_EQ(files_below(folder_ / "missing", 100), json::array());
}

TEST_F(Service, PiecesEndBehindAWholeCharacter) {
  const fs::path file = folder_ / "log";
  std::string text;
  while (text.size() < 600000) text += "日志 ü x\n";
  std::ofstream(file) << text;
  std::string whole;
  uint64_t at = 0;
  for (;;) {
    const json piece = piece_of(file, at);
    const std::string part = piece["text"];
    EXPECT_NO_THROW(json(part).dump());
    whole += part;
    if (piece["next"] == at) break;
    at = piece["next"];
  }
  EXPECT_EQ(whole, text);
  EXPECT_EQ(piece_of(file, text.size() + 5)["text"], "");
  EXPECT_EQ(piece_of(folder_ / "missing", 0)["bytes"], 0);
}

TEST_F(Service, ATicketIsGoodOnce) {
  Tickets tickets;
  const std::string ticket = tickets.issue({"f", true});
  EXPECT_FALSE(tickets.take(random_token()));
  const auto found = tickets.take(ticket);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->file, "f");
  EXPECT_TRUE(found->shown);
  EXPECT_FALSE(tickets.take(ticket));
}

class Routes : public Service {
 protected:
  Routes() : store_(folder_ / "s.sqlite"), runs_(options(), store_), api_(store_, runs_) {
    for (const auto& [name, role] : {std::pair{"v", Role::kViewer}, {"s", Role::kSubmitter}, {"a", Role::kAdmin}}) tokens_[name] = store_.put_user(name, role);
  }
  RunsOptions options() {
    RunsOptions o;
    o.root = fs::canonical(folder_ / "."), o.program = "/bin/false";
    return o;
  }
  HttpResponse ask(const std::string& user, const std::string& method, const std::string& path, const std::string& body = "", const std::string& type = "application/json") {
    HttpRequest r;
    r.method = method, r.path = path, r.body = body, r.headers["content-type"] = type;
    if (!user.empty()) r.headers["authorization"] = "Bearer " + (tokens_.contains(user) ? tokens_[user] : user);
    if (auto refused = api_.gate(r)) return *refused;
    return api_.answer(r);
  }
  Store store_;
  Runs runs_;
  Api api_;
  std::map<std::string, std::string> tokens_;
};

TEST_F(Routes, AreThoseOfTheDescription) {
  const json description = json::parse(page::kOpenApi);
  std::set<std::string> described, offered, guarded;
  for (const auto& [path, item] : description["paths"].items())
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      std::string upper = method;
      for (char& c : upper) c = char(std::toupper(c));
      described.insert(upper + " " + path);
      if (operation.contains("security")) {
        const std::string role = operation["description"];
        guarded.insert(upper + " " + path + " " + role.substr(role.rfind(' ') + 1));
      }
    }
  std::set<std::string> needed;
  for (const auto& route : api_.routes()) {
    offered.insert(route.method + " " + route.pattern);
    if (!route.open) needed.insert(route.method + " " + route.pattern + " " + role_name(route.role) + ".");
  }
  EXPECT_EQ(described, offered);
  EXPECT_EQ(guarded, needed);
}

TEST_F(Routes, EachNeedsATokenAndItsRole) {
  for (const auto& route : api_.routes()) {
    std::string path = route.pattern;
    for (const char* name : {"{id}", "{path}", "{name}", "{ticket}"})
      if (const size_t at = path.find(name); at != path.npos) path.replace(at, std::string(name).size(), "none");
    const int nobody = ask("", route.method, path).status, stranger = ask(std::string(64, 'f'), route.method, path).status;
    EXPECT_EQ(nobody == 401, !route.open) << path;
    EXPECT_EQ(stranger == 401, !route.open) << path;
    if (route.open) continue;
    EXPECT_EQ(ask("v", route.method, path).status == 403, route.role != Role::kViewer) << path;
    EXPECT_EQ(ask("s", route.method, path).status == 403, route.role == Role::kAdmin) << path;
  }
  EXPECT_EQ(ask("", "GET", "/api/v1/nothing").status, 401);
  EXPECT_EQ(ask("v", "GET", "/api/v1/nothing").status, 404);
  EXPECT_EQ(ask("a", "DELETE", "/api/v1/runs").status, 405);
  EXPECT_EQ(ask("v", "GET", "/api/v1/runs/../../etc").status, 404);
}

TEST_F(Routes, BodiesAreJsonAndFieldsAreKnown) {
  EXPECT_EQ(ask("s", "POST", "/api/v1/runs", "job=x", "application/x-www-form-urlencoded").status, 415);
  EXPECT_EQ(ask("s", "POST", "/api/v1/runs", "{\"job\": \"x\"}", "text/plain").status, 415);
  for (const char* body : {"{", "[]", "3", "{}", R"({"job": 3})", R"({"job": "x", "plugin": "/x.so"})", R"({"job": "x", "launcher": "hosts"})", R"({"job": "x", "launcher": "slurm"})", R"({"job": "x", "set": "a"})", R"({"job": "x", "set": [1]})",
                           R"({"job": "x", "nodes": "2"})", R"({"job": "x", "time": 2})", R"({"job": "x", "seed": -1})", R"({"job": "x", "ranks_per_node": 100000})"})
    EXPECT_EQ(ask("s", "POST", "/api/v1/runs", body).status, 400) << body;
  EXPECT_EQ(ask("s", "POST", "/api/v1/runs", R"({"job": "x", "after": "none"})").status, 422);
  EXPECT_EQ(store_.num_runs(), 0);
  EXPECT_EQ(ask("v", "GET", "/api/v1/runs/none").status, 404);
  EXPECT_EQ(ask("s", "POST", "/api/v1/runs/none/cancel").status, 404);
}

TEST_F(Routes, UsersAreSeenToByAdmins) {
  const auto made = ask("a", "PUT", "/api/v1/users/eve", R"({"role": "viewer"})");
  ASSERT_EQ(made.status, 200);
  tokens_["eve"] = json::parse(made.body)["token"];
  EXPECT_EQ(json::parse(ask("eve", "GET", "/api/v1/me").body), json::parse(R"({"name": "eve", "role": "viewer", "launchers": ["local"]})"));
  EXPECT_EQ(ask("a", "PUT", "/api/v1/users/a b", R"({"role": "viewer"})").status, 400);
  EXPECT_EQ(ask("a", "PUT", "/api/v1/users/x", R"({"role": "king"})").status, 400);
  EXPECT_EQ(ask("a", "DELETE", "/api/v1/users/a").status, 409);
  EXPECT_EQ(ask("a", "DELETE", "/api/v1/users/eve").status, 204);
  EXPECT_EQ(ask("a", "DELETE", "/api/v1/users/eve").status, 404);
  EXPECT_EQ(ask("eve", "GET", "/api/v1/me").status, 401);
  std::vector<std::string> lines;
  const json audit = json::parse(ask("a", "GET", "/api/v1/audit").body);
  for (const auto& line : audit["audit"]) lines.push_back(line["user"].get<std::string>() + " " + line["action"].get<std::string>() + " " + line["target"].get<std::string>() + " " + std::to_string(line["status"].get<int>()));
  EXPECT_THAT(lines, ElementsAre(" GET /api/v1/me 401", "a DELETE /api/v1/users/eve 404", "a DELETE /api/v1/users/eve 204", "a DELETE /api/v1/users/a 409", "a PUT /api/v1/users/x 400", "a PUT /api/v1/users/a b 400", "a PUT /api/v1/users/eve 200"));
}

TEST_F(Routes, AFloodOfRefusalsDoesNotFillTheLog) {
  for (int k = 0; k < 300; ++k) EXPECT_EQ(ask("", "GET", "/api/v1/me").status, 401);
  EXPECT_EQ(store_.audit_lines(1000).size(), 60);
}

TEST_F(Routes, AnAcceptedRunThatIsCancelledIsNotHandedOver) {
  StoredRun run = run_named("waits");
  run.request = R"({"job": "x", "after": "first"})";
  StoredRun first = run_named("first");
  first.request = R"({"job": "x", "after": "waits"})";  // so that neither has its turn
  store_.add_run(run, "");
  store_.add_run(first, "");
  EXPECT_EQ(ask("s", "POST", "/api/v1/runs/waits/cancel").status, 403) << "ada's";
  EXPECT_EQ(ask("s", "DELETE", "/api/v1/runs/waits").status, 403);
  tokens_["ada"] = store_.put_user("ada", Role::kSubmitter);
  EXPECT_EQ(ask("ada", "DELETE", "/api/v1/runs/waits").status, 409) << "it is not over";
  EXPECT_EQ(ask("ada", "POST", "/api/v1/runs/waits/cancel").status, 200);
  const json now = json::parse(ask("v", "GET", "/api/v1/runs/waits").body);
  EXPECT_EQ(now["state"], "cancelled");
  EXPECT_EQ(ask("a", "POST", "/api/v1/runs/waits/cancel").status, 409);
  EXPECT_EQ(ask("s", "POST", "/api/v1/runs/waits/resume").status, 403);
  EXPECT_EQ(ask("a", "POST", "/api/v1/runs/waits/resume").status, 409);
  EXPECT_EQ(ask("ada", "DELETE", "/api/v1/runs/waits").status, 409) << "another is to follow it";
  EXPECT_EQ(ask("ada", "POST", "/api/v1/runs/first/cancel").status, 200);
  int removed;
  while ((removed = ask("ada", "DELETE", "/api/v1/runs/waits").status) == 409) ::usleep(1000);  // while a thread still looks at it
  EXPECT_EQ(removed, 204);
  EXPECT_EQ(ask("ada", "GET", "/api/v1/runs/waits").status, 404);
  EXPECT_EQ(ask("ada", "DELETE", "/api/v1/runs/waits").status, 404);
  EXPECT_EQ(store_.num_runs(), 1);
}

// Removed by hand, or half of it.
TEST_F(Routes, ARunWhoseFolderIsGoneStandsInNobodysWay) {
  const fs::path root = fs::canonical(folder_ / ".");
  for (const char* id : {"gone", "damaged"}) {
    store_.add_run(run_named(id), "");
    store_.set_stage(id, StoredRun::Stage::kHanded);
  }
  make_folder(root / "damaged");
  write_file_atomically(root / "damaged" / "submission.json", "{");
  EXPECT_EQ(ask("v", "GET", "/api/v1/metrics").status, 200);
  for (const char* id : {"gone", "damaged"}) {
    EXPECT_EQ(ask("a", "DELETE", std::string("/api/v1/runs/") + id).status, 204) << id;
    EXPECT_EQ(ask("v", "GET", std::string("/api/v1/runs/") + id).status, 404) << id;
  }
  EXPECT_FALSE(fs::exists(root / "damaged"));
}

// What a gateway had begun to remove when it was killed is removed by the next one.
TEST_F(Routes, ARemovalThatWasCutOffGoesOn) {
  const fs::path root = fs::canonical(folder_ / ".") / "other";
  Store store(folder_ / "other.sqlite");
  store.add_run(run_named("gone"), "");
  store.set_stage("gone", StoredRun::Stage::kRemoved);
  make_folder(root / "gone" / "steps");
  make_folder(root / ".gateway" / "removed" / "older" / "steps");
  fs::create_symlink(root, root / ".gateway" / "removed" / "older" / "steps" / "link");
  write_file_atomically(root / "kept", "");
  EXPECT_TRUE(store.runs(0, 10).empty());
  RunsOptions o = options();
  o.root = root;
  {
    Runs runs(o, store);
    EXPECT_THROW(runs.describe("gone"), Refusal);
    while (store.run("gone") || !fs::is_empty(root / ".gateway" / "removed")) ::usleep(1000);
  }
  EXPECT_FALSE(fs::exists(root / "gone"));
  EXPECT_TRUE(fs::exists(root / "kept")) << "links are not followed";
}

}  // namespace
}  // namespace throng::service
