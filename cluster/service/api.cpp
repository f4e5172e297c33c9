#include "cluster/service/api.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/launch/submission.h"
#include "cluster/service/events.h"
#include "cluster/service/page.h"
#include "framework/base/clock.h"
#include "framework/base/error.h"
#include "framework/base/page_parts.h"

namespace throng::service {

using nlohmann::json;

namespace {

constexpr int kRefusalsAMinute = 60;
constexpr size_t kMostFiles = 20000;
constexpr const char* kReport = "report.html";
// Nothing from elsewhere, and nothing inline.
constexpr const char* kPagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
// A file of a run is shown on its own: without this origin's rights, and without the network.
constexpr const char* kFilePolicy = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

std::string dumped(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }
HttpResponse json_response(const json& j, int status = 200) { return {.status = status, .body = dumped(j), .headers = {}}; }
HttpResponse error_response(int status, const std::string& error) { return json_response({{"error", error}}, status); }

json parsed(const HttpRequest& request) {
  const std::string type = request.header("content-type");
  // A form of another site can send text, but not this.
  if (type.substr(0, type.find(';')) != "application/json") throw Refusal{415, {{"error", "the body must be application/json"}}};
  json body = json::parse(request.body, nullptr, false);
  if (body.is_discarded()) throw Refusal{400, {{"error", "the body is no JSON"}}};
  return body;
}

int64_t number_of(const HttpRequest& request, const std::string& name, int64_t otherwise, int64_t most) {
  const auto at = request.query.find(name);
  if (at == request.query.end()) return otherwise;
  if (at->second.empty() || at->second.size() > 18 || at->second.find_first_not_of("0123456789") != std::string::npos) throw Refusal{400, {{"error", "'" + name + "' is no whole number"}}};
  return std::min(most, int64_t(std::stoll(at->second)));
}

HttpResponse asset(std::string_view text, const std::string& type) { return {.type = type, .body = std::string(text), .headers = {{"Content-Security-Policy", kPagePolicy}, {"Cache-Control", "no-cache"}}}; }

// What a browser shows, and does not keep: the report alone, since anyone who submits can write other pages.
HttpResponse file_response(const std::filesystem::path& file, bool shown) {
  HttpResponse response{.type = content_type_of(file), .body = "", .headers = {{"Content-Security-Policy", kFilePolicy}, {"X-Frame-Options", "SAMEORIGIN"}}};
  response.file = file;
  std::string name = file.filename().string();
  std::replace_if(name.begin(), name.end(), [](char c) { return c < 32 || c == '"' || c == '\\' || c == 127; }, '_');
  if (!shown) response.headers.emplace_back("Content-Disposition", "attachment; filename=\"" + name + "\"");
  return response;
}

bool valid_user_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '@'; });
}

}  // namespace

Api::Api(Store& store, Runs& runs) : store_(store), runs_(runs) { add_routes(); }

void Api::add_routes() {
  const auto add = [this](const char* method, const char* pattern, Role role, bool changes, auto answer) { routes_.push_back({method, pattern, false, role, changes, answer}); };
  const auto add_open = [this](const char* pattern, auto answer) { routes_.push_back({"GET", pattern, true, Role::kViewer, false, answer}); };
  using Names = std::vector<std::string>;

  add_open("/", [](const HttpRequest&, const Names&) { return asset(page::kHtml, "text/html; charset=utf-8"); });
  add_open("/page.css", [](const HttpRequest&, const Names&) { return asset(page::kStyle, "text/css; charset=utf-8"); });
  add_open("/page.js", [](const HttpRequest&, const Names&) { return asset(page::kScript, "text/javascript; charset=utf-8"); });
  add_open("/chart.js", [](const HttpRequest&, const Names&) {
    static const std::string code = chart_code();
    return code.empty() ? error_response(404, "Chart.js is not installed") : asset(code, "text/javascript; charset=utf-8");
  });
  add_open("/api/v1/openapi.json", [](const HttpRequest&, const Names&) { return HttpResponse{.body = std::string(page::kOpenApi), .headers = {}}; });
  add_open("/api/v1/health", [](const HttpRequest&, const Names&) { return json_response({{"status", "ok"}}); });
  add_open("/tickets/{ticket}", [this](const HttpRequest&, const Names& names) {
    const auto file = tickets_.take(names[0]);
    return file ? file_response(file->file, file->shown) : error_response(404, "this address was used, or is too old");
  });

  add("GET", "/api/v1/me", Role::kViewer, false, [this](const HttpRequest& r, const Names&) { return json_response({{"name", r.user}, {"role", r.role}, {"launchers", runs_.launchers()}}); });
  add("POST", "/api/v1/plan", Role::kSubmitter, false, [this](const HttpRequest& r, const Names&) { return json_response(runs_.plan(parsed(r))); });
  add("GET", "/api/v1/runs", Role::kViewer, false, [this](const HttpRequest& r, const Names&) { return json_response(runs_.list(number_of(r, "before", 0, INT64_MAX), int(number_of(r, "limit", 100, 1000)))); });
  add("POST", "/api/v1/runs", Role::kSubmitter, true, [this](const HttpRequest& r, const Names&) {
    const std::string key = r.header("idempotency-key");
    if (key.size() > 200) throw Refusal{400, {{"error", "the Idempotency-Key is too long"}}};
    const std::string id = runs_.submit(parsed(r), r.user, key);
    HttpResponse response = json_response({{"id", id}}, 202);
    response.headers.emplace_back("Location", "/api/v1/runs/" + id);
    return response;
  });
  add("GET", "/api/v1/runs/{id}", Role::kViewer, false, [this](const HttpRequest&, const Names& names) { return json_response(runs_.describe(names[0])); });
  const auto own = [this](const HttpRequest& r, const std::string& id) {
    if (r.role != role_name(Role::kAdmin) && runs_.user_of(id) != r.user) throw Refusal{403, {{"error", "the run is another user's"}}};
  };
  add("DELETE", "/api/v1/runs/{id}", Role::kSubmitter, true, [this, own](const HttpRequest& r, const Names& names) {
    own(r, names[0]);
    runs_.remove(names[0]);
    return HttpResponse{.status = 204, .body = "", .headers = {}};
  });
  add("POST", "/api/v1/runs/{id}/cancel", Role::kSubmitter, true, [this, own](const HttpRequest& r, const Names& names) {
    own(r, names[0]);
    runs_.cancel(names[0]);
    return json_response(runs_.describe(names[0]));
  });
  add("POST", "/api/v1/runs/{id}/resume", Role::kSubmitter, true, [this, own](const HttpRequest& r, const Names& names) {
    own(r, names[0]);
    runs_.resume(names[0]);
    return json_response(runs_.describe(names[0]));
  });
  add("GET", "/api/v1/runs/{id}/events", Role::kViewer, false, [this](const HttpRequest& r, const Names& names) {
    runs_.describe(names[0]);  // refuses one that is not there
    return HttpResponse{.type = "text/event-stream", .body = "", .headers = {}, .file = {}, .stream = event_stream(runs_, names[0], uint64_t(number_of(r, "log_from", 0, INT64_MAX)))};
  });
  add("GET", "/api/v1/runs/{id}/log", Role::kViewer, false, [this](const HttpRequest& r, const Names& names) { return json_response(piece_of(launch::log_of(runs_.folder(names[0])), uint64_t(number_of(r, "from", 0, INT64_MAX)))); });
  add("GET", "/api/v1/runs/{id}/drawing", Role::kViewer, false, [this](const HttpRequest&, const Names& names) { return HttpResponse{.type = "image/svg+xml", .body = runs_.drawing(names[0]), .headers = {}}; });
  add("GET", "/api/v1/runs/{id}/files", Role::kViewer, false, [this](const HttpRequest&, const Names& names) { return json_response({{"files", files_below(runs_.folder(names[0]), kMostFiles)}}); });
  add("GET", "/api/v1/runs/{id}/files/{path}", Role::kViewer, false, [this](const HttpRequest&, const Names& names) {
    const auto file = file_below(runs_.folder(names[0]), names[1]);
    return file ? file_response(*file, names[1] == kReport) : error_response(404, "the run has no such file");
  });
  add("POST", "/api/v1/runs/{id}/tickets", Role::kViewer, false, [this](const HttpRequest& r, const Names& names) {
    const json body = parsed(r);
    if (!body.is_object() || !body.contains("path") || !body["path"].is_string()) throw Refusal{400, {{"error", "'path' is missing"}}};
    const auto file = file_below(runs_.folder(names[0]), body["path"]);
    return file ? json_response({{"address", "/tickets/" + tickets_.issue({*file, body["path"] == kReport})}}, 201) : error_response(404, "the run has no such file");
  });
  add("GET", "/api/v1/metrics", Role::kViewer, false, [this](const HttpRequest&, const Names&) { return HttpResponse{.type = "text/plain; version=0.0.4", .body = runs_.metrics(), .headers = {}}; });

  add("GET", "/api/v1/users", Role::kAdmin, false, [this](const HttpRequest&, const Names&) {
    json all = json::array();
    for (const auto& user : store_.users()) all.push_back({{"name", user.name}, {"role", role_name(user.role)}, {"created", user.created}});
    return json_response({{"users", all}});
  });
  add("PUT", "/api/v1/users/{name}", Role::kAdmin, true, [this](const HttpRequest& r, const Names& names) {
    const json body = parsed(r);
    const auto role = body.is_object() && body.contains("role") && body["role"].is_string() ? role_of(body["role"]) : std::nullopt;
    if (!role) throw Refusal{400, {{"error", "'role' is none of viewer, submitter, admin"}}};
    if (!valid_user_name(names[0])) throw Refusal{400, {{"error", "a user's name has letters, digits and _-.@"}}};
    return json_response({{"name", names[0]}, {"role", role_name(*role)}, {"token", store_.put_user(names[0], *role)}});
  });
  add("DELETE", "/api/v1/users/{name}", Role::kAdmin, true, [this](const HttpRequest& r, const Names& names) {
    if (names[0] == r.user) throw Refusal{409, {{"error", "users cannot remove themselves"}}};
    if (!store_.remove_user(names[0])) throw Refusal{404, {{"error", "there is no such user"}}};
    return HttpResponse{.status = 204, .body = "", .headers = {}};
  });
  add("GET", "/api/v1/audit", Role::kAdmin, false, [this](const HttpRequest& r, const Names&) {
    json all = json::array();
    for (const auto& line : store_.audit_lines(int(number_of(r, "limit", 200, 10000)))) all.push_back({{"at", line.at}, {"user", line.user}, {"peer", line.peer}, {"action", line.action}, {"target", line.target}, {"status", line.status}});
    return json_response({{"audit", all}});
  });
}

const Route* Api::find(const HttpRequest& request, std::vector<std::string>& names, bool& path_known) const {
  const auto parts = segments_of(request.path);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  path_known = false;
  for (const auto& route : routes_) {
    const auto wanted = segments_of(route.pattern);
    const bool rest = !wanted.empty() && wanted.back() == "{path}";  // with slashes
    if (rest ? parts.size() < wanted.size() : parts.size() != wanted.size()) continue;
    std::vector<std::string> found;
    bool fits = true;
    for (size_t i = 0; i < wanted.size() && fits; ++i) {
      if (wanted[i].front() != '{') {
        fits = wanted[i] == parts[i];
        continue;
      }
      std::string name = parts[i];
      if (wanted[i] == "{path}")
        for (size_t k = i + 1; k < parts.size(); ++k) name += "/" + parts[k];
      found.push_back(std::move(name));
    }
    if (!fits) continue;
    path_known = true;
    if (route.method != method) continue;
    names = std::move(found);
    return &route;
  }
  return nullptr;
}

void Api::audit_refusal(const HttpRequest& request, int status) {
  {
    std::lock_guard lock(mutex_);
    if (since_refusals_.seconds() > 60) since_refusals_ = Stopwatch(), refusals_ = 0;
    if (++refusals_ > kRefusalsAMinute) return;  // a flood of them is cut short
  }
  audit(request, request.path.substr(0, 200), status);
}

void Api::audit(const HttpRequest& request, const std::string& target, int status) { store_.audit({utc_text(), request.user, request.peer, request.method, target, status}); }

std::optional<HttpResponse> Api::gate(HttpRequest& request) {
  std::vector<std::string> names;
  bool path_known = false;
  const Route* route = find(request, names, path_known);
  if (route && route->open) return {};
  const std::string shown = request.header("authorization");
  std::optional<User> user;
  if (shown.starts_with("Bearer ") && shown.size() < 300) user = store_.user_of_token(shown.substr(7));
  if (!user) {
    audit_refusal(request, 401);
    HttpResponse response = error_response(401, "a token is needed");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  request.user = user->name, request.role = role_name(user->role);
  if (!route) return error_response(path_known ? 405 : 404, path_known ? "the method is not offered here" : "there is nothing here");
  if (int(user->role) < int(route->role)) {
    audit_refusal(request, 403);
    return error_response(403, "this needs the role " + role_name(route->role));
  }
  return {};
}

HttpResponse Api::answer(const HttpRequest& request) {
  std::vector<std::string> names;
  bool path_known = false;
  const Route* route = find(request, names, path_known);
  if (!route) return error_response(404, "there is nothing here");
  HttpResponse response;
  try {
    response = route->answer(request, names);
  } catch (const Refusal& r) {
    response = json_response(r.body, r.status);
  } catch (const Error& e) {
    response = json_response({{"error", e.message()}, {"hint", e.hint()}}, e.fault() == Fault::kJob || e.fault() == Fault::kData ? 409 : 500);
  }
  if (route->changes) try {
      audit(request, request.path.substr(0, 200), response.status);
    } catch (const Error& e) {  // it is done all the same
      std::fprintf(stderr, "throng: warning: not in the audit log: %s\n", e.message().c_str());
    }
  return response;
}

}  // namespace throng::service
