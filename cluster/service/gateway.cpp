#include "cluster/service/gateway.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cluster/service/api.h"
#include "framework/base/error.h"
#include "framework/base/files.h"

namespace throng::service {

namespace fs = std::filesystem;

namespace {

// Held as long as the process lives, however it ends.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& file) : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) throw system_error("{}: cannot be written: {}", file.string(), std::strerror(errno));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    ::close(descriptor_);
    throw system_error("{}: another gateway serves these runs", file.parent_path().parent_path().string()).with_hint("end that one, or name another folder");
  }
  ~FolderLock() { ::close(descriptor_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

fs::path own_folder(const fs::path& root) {
  const fs::path folder = root / ".gateway";
  make_folder(folder);
  if (::chmod(folder.c_str(), 0700) != 0) throw system_error("{}: cannot be kept from others: {}", folder.string(), std::strerror(errno));
  return folder;
}

// For its owner's eyes from the first byte on.
void write_secret(const fs::path& file, const std::string& text) {
  std::error_code ignored;
  fs::remove(file, ignored);
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == ssize_t(text.size()) && ::fsync(fd) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (!written) throw system_error("{}: cannot be written: {}", file.string(), std::strerror(code));
}

}  // namespace

struct Gateway::Parts {
  FolderLock lock;
  Store store;
  Runs runs;
  Api api;
  std::unique_ptr<HttpServer> server;

  Parts(const GatewayOptions& o, const fs::path& folder) : lock(folder / "lock"), store(folder / "gateway.sqlite"), runs(o.runs, store), api(store, runs) {}
};

Gateway::Gateway(GatewayOptions options) {
  make_folder(options.runs.root);
  options.runs.root = fs::canonical(options.runs.root);
  const fs::path folder = own_folder(options.runs.root);
  parts_ = std::make_unique<Parts>(options, folder);
  Parts& p = *parts_;
  if (p.store.users().empty()) {
    new_token_file_ = (folder / "admin.token").string();
    write_secret(new_token_file_, p.store.put_user("admin", Role::kAdmin) + "\n");
  }
  p.server = std::make_unique<HttpServer>(options.http, [&p](HttpRequest& r) { return p.api.gate(r); }, [&p](const HttpRequest& r) { return p.api.answer(r); });
}

Gateway::~Gateway() = default;
uint16_t Gateway::port() const { return parts_->server->port(); }

std::unique_ptr<Store> open_store(const fs::path& root) {
  if (!fs::exists(root / ".gateway" / "gateway.sqlite")) throw job_error("{}: no gateway has served these runs", root.string()).with_hint("'throng serve " + root.string() + "' starts one");
  return std::make_unique<Store>(root / ".gateway" / "gateway.sqlite");
}

}  // namespace throng::service
