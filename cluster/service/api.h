// The gateway's routes: who may use them, and what they answer. Described in openapi.json.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cluster/service/files.h"
#include "cluster/service/http.h"
#include "cluster/service/runs.h"
#include "cluster/service/store.h"

namespace throng::service {

/// A way in: `pattern` has {names} for parts that differ.
struct Route {
  std::string method, pattern;
  bool open = false;         ///< without a token
  Role role = Role::kViewer;  ///< that is needed at least
  bool changes = false;      ///< written to the audit log
  std::function<HttpResponse(const HttpRequest&, const std::vector<std::string>& names)> answer;
};

/// Thread-safe.
class Api {
 public:
  Api(Store& store, Runs& runs);
  /// Refuses who shows no token, or one of too small a role; for `HttpServer`.
  std::optional<HttpResponse> gate(HttpRequest& request);
  HttpResponse answer(const HttpRequest& request);
  const std::vector<Route>& routes() const { return routes_; }

 private:
  void add_routes();
  const Route* find(const HttpRequest& request, std::vector<std::string>& names, bool& path_known) const;
  void audit_refusal(const HttpRequest& request, int status);
  void audit(const HttpRequest& request, const std::string& target, int status);

  Store& store_;
  Runs& runs_;
  Tickets tickets_;
  std::vector<Route> routes_;
  std::mutex mutex_;
  Stopwatch since_refusals_;
  int refusals_ = 0;  // written to the audit log in this minute
};

}  // namespace throng::service
