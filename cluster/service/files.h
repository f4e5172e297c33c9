// Files of a run that may be read over HTTP: regular ones below its directory, wherever links lead.
#pragma once
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "framework/base/clock.h"

namespace throng::service {

/// The file that `name` means below `folder`; nothing where there is none, or it lies elsewhere in truth.
std::optional<std::filesystem::path> file_below(const std::filesystem::path& folder, const std::string& name);

/// [{"path", "bytes"}] of what is below, by name; at most `most`.
nlohmann::json files_below(const std::filesystem::path& folder, size_t most);

/// A piece of a file as {"text", "next", "bytes"}: at most 256 KiB from byte `from` on, ended behind a whole character where more follows.
nlohmann::json piece_of(const std::filesystem::path& file, uint64_t from);

/// The content type by the name's ending; text where it is not known to be something that a browser shows.
std::string content_type_of(const std::filesystem::path& file);

/// One-time addresses for what a browser opens by itself, which cannot send a token: each names one file for a minute. Thread-safe.
class Tickets {
 public:
  struct Ticket {
    std::filesystem::path file;
    bool shown = false;  ///< by the browser, instead of being kept
    Stopwatch age = {};
  };
  std::string issue(Ticket ticket);
  /// Nothing where it is none, was used, or is too old.
  std::optional<Ticket> take(const std::string& ticket);

 private:
  std::mutex mutex_;
  std::map<std::string, Ticket> tickets_;
};

}  // namespace throng::service
