// A folder for a while.
#pragma once
#include <filesystem>
#include <string>

namespace throng {

/// A new empty folder in `temporary_folder()` that only this user can use, removed with all that is in it at the end of its life. Its name begins so, and no other ever had it.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  /// Empty where it could not be made; errno says why.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace throng
