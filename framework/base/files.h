// Files: whole reads, atomic writes, and errors that name the path and the reason.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace throng {

std::string read_file(const std::filesystem::path& path);

/// Writes a temporary file beside `path`, fsyncs it and renames it: readers see the old file or the new one.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// The same without fsync: for what is written often, and of no worth after a crash of the machine.
void replace_file(const std::filesystem::path& path, std::string_view content);

/// The same in pieces: what is written goes to a temporary file, which `finish` flushes and puts in the place of `path`. System errors name `path`.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void write(std::string_view bytes);
  void finish(bool flush = true);

 private:
  [[noreturn]] void fail(int code);
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

/// Flushes a file or folder to disk.
void fsync_path(const std::filesystem::path& path);

/// $TMPDIR, or /tmp: node-local space for what need not last.
std::filesystem::path temporary_folder();

/// Makes a folder and its parents; a clear system error where it cannot be written.
void make_folder(const std::filesystem::path& path);

/// Files that a path with *, ?, [..] or a folder names, sorted; a folder gives its regular files (not hidden ones).
/// A path without wildcard that does not exist gives an empty list.
std::vector<std::filesystem::path> expand_glob(const std::filesystem::path& pattern);

/// Removes the files of a folder that `goes` says so of, by name; those that cannot be removed stay, and a folder that is not there has none.
void remove_files(const std::filesystem::path& folder, const std::function<bool(const std::string& name)>& goes);

/// Bytes the file system can still take at `path`.
uint64_t free_disk_bytes(const std::filesystem::path& path);

}  // namespace throng
