#include "cluster/service/files.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cluster/service/token.h"

namespace throng::service {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr uint64_t kPieceBytes = 256 << 10;
constexpr double kTicketSeconds = 60;
constexpr size_t kMostTickets = 10000;

}  // namespace

std::optional<fs::path> file_below(const fs::path& folder, const std::string& name) {
  std::error_code code;
  const fs::path root = fs::canonical(folder, code);
  if (code) return {};
  const fs::path file = fs::canonical(root / fs::path(name).relative_path(), code);
  if (code || !fs::is_regular_file(file, code)) return {};
  const auto [at, end] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  if (at != root.end()) return {};
  return file;
}

json files_below(const fs::path& folder, size_t most) {
  std::vector<std::pair<std::string, uint64_t>> found;
  std::error_code code;
  for (auto it = fs::recursive_directory_iterator(folder, code); !code && it != fs::recursive_directory_iterator() && found.size() < most; it.increment(code)) {
    std::error_code gone;
    if (it->is_symlink(gone) || !it->is_regular_file(gone)) continue;
    const auto bytes = it->file_size(gone);
    if (!gone) found.emplace_back(it->path().lexically_relative(folder).string(), bytes);
  }
  std::sort(found.begin(), found.end());
  json all = json::array();
  for (const auto& [name, bytes] : found) all.push_back({{"path", name}, {"bytes", bytes}});
  return all;
}

json piece_of(const fs::path& file, uint64_t from) {
  std::error_code code;
  uint64_t bytes = fs::file_size(file, code);
  if (code) bytes = 0;
  std::string text;
  if (from < bytes) {
    std::ifstream in(file, std::ios::binary);
    in.seekg(std::streamoff(from));
    text.resize(std::min(kPieceBytes, bytes - from));
    in.read(text.data(), std::streamsize(text.size()));
    text.resize(size_t(in.gcount()));
    if (from + text.size() < bytes)  // not in the middle of a character
      for (int k = 0; k < 3 && !text.empty() && (text.back() & 0x80) && k < int(text.size()); ++k) {
        const bool first = (text.back() & 0xC0) == 0xC0;
        text.pop_back();
        if (first) break;
      }
  }
  return {{"text", text}, {"next", from + text.size()}, {"bytes", bytes}};
}

std::string content_type_of(const fs::path& file) {
  static const std::map<std::string, std::string> kTypes = {{".html", "text/html; charset=utf-8"}, {".json", "application/json"}, {".csv", "text/csv; charset=utf-8"}, {".jsonl", "application/x-ndjson"},
                                                            {".h5", "application/x-hdf5"},         {".gz", "application/gzip"},    {".zst", "application/zstd"},         {".safetensors", "application/octet-stream"}};
  const auto at = kTypes.find(file.extension().string());
  return at == kTypes.end() ? "text/plain; charset=utf-8" : at->second;
}

std::string Tickets::issue(Ticket ticket) {
  std::lock_guard lock(mutex_);
  std::erase_if(tickets_, [](const auto& t) { return t.second.age.seconds() > kTicketSeconds; });
  if (tickets_.size() >= kMostTickets) tickets_.erase(std::max_element(tickets_.begin(), tickets_.end(), [](const auto& a, const auto& b) { return a.second.age.seconds() < b.second.age.seconds(); }));
  const std::string name = random_token();
  tickets_[name] = std::move(ticket);
  return name;
}

std::optional<Tickets::Ticket> Tickets::take(const std::string& ticket) {
  std::lock_guard lock(mutex_);
  const auto at = tickets_.find(ticket);
  if (at == tickets_.end()) return {};
  Ticket found = std::move(at->second);
  tickets_.erase(at);
  if (found.age.seconds() > kTicketSeconds) return {};
  return found;
}

}  // namespace throng::service
