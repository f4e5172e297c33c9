// Requests and responses as the gateway's routes see them, apart from the library that carries them.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace throng::service {

struct HttpRequest {
  std::string method;              ///< "GET"
  std::string path;                ///< decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string peer;                ///< the client's address
  std::string user, role;          ///< set by the gate

  std::string header(const std::string& name) const {
    const auto at = headers.find(name);
    return at == headers.end() ? "" : at->second;
  }
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::filesystem::path file = {};  ///< sent instead of `body`, where not empty
  /// Sent piece by piece instead of `body`: called again and again until it gives nothing; an empty piece is a pause. A worker calls it.
  std::function<std::optional<std::string>()> stream = {};
};

/// The path's parts between slashes, decoded; empty ones are left out.
std::vector<std::string> segments_of(const std::string& path);
/// %41 and, in queries, + decoded; nothing where it is malformed or has a zero byte.
std::optional<std::string> percent_decoded(const std::string& text, bool plus_is_space);

}  // namespace throng::service
