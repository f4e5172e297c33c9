// The daemon: its folder below the run root, one process of it at a time, and all its parts.
#pragma once
#include <memory>
#include <string>

#include "cluster/service/http_server.h"
#include "cluster/service/runs.h"

namespace throng::service {

struct GatewayOptions {
  RunsOptions runs;
  HttpOptions http;
};

/// ROOT/.gateway: gateway.sqlite, and the first admin's token in a file of its own.
class Gateway {
 public:
  /// Makes what is missing, and listens from now on. A system error where another gateway has the folder.
  explicit Gateway(GatewayOptions options);
  ~Gateway();

  uint16_t port() const;
  /// Where the token of the first user lies, which was made because there was none; else empty.
  const std::string& new_token_file() const { return new_token_file_; }

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::string new_token_file_;
};

/// The store of a run root, for verbs that see to users beside a running gateway.
std::unique_ptr<Store> open_store(const std::filesystem::path& root);

}  // namespace throng::service
