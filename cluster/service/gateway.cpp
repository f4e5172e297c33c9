#include "cluster/service/gateway.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cluster/service/api.h"
#include "framework/base/error.h"
#include "framework/base/file_lock.h"
#include "framework/base/files.h"

namespace throng::service {

namespace fs = std::filesystem;

namespace {

fs::path own_folder(const fs::path& root) {
  const fs::path folder = root / ".gateway";
  make_folder(folder);
  if (::chmod(folder.c_str(), 0700) != 0) throw system_error("{}: cannot be kept from others: {}", folder.string(), std::strerror(errno));
  return folder;
}

FileLock locked(const fs::path& folder, const fs::path& root) {
  FileLock lock(folder / "lock", FileLock::Wait::kNot, 0600);
  if (!lock.is_held()) throw system_error("{}: another gateway serves these runs", root.string()).with_hint("end that one, or name another folder");
  return lock;
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
  FileLock lock;
  Store store;
  Runs runs;
  Api api;
  std::unique_ptr<HttpServer> server;

  Parts(const GatewayOptions& o, const fs::path& folder) : lock(locked(folder, o.runs.root)), store(folder / "gateway.sqlite"), runs(o.runs, store), api(store, runs) {}
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

Gateway::~Gateway() {
  if (parts_) parts_->runs.give_up();  // the server waits for what it has asked of them
}
uint16_t Gateway::port() const { return parts_->server->port(); }

std::unique_ptr<Store> open_store(const fs::path& root) {
  if (!fs::exists(root / ".gateway" / "gateway.sqlite")) throw job_error("{}: no gateway has served these runs", root.string()).with_hint("'throng serve " + root.string() + "' starts one");
  return std::make_unique<Store>(root / ".gateway" / "gateway.sqlite");
}

}  // namespace throng::service
