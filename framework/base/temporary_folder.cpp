#include "framework/base/temporary_folder.h"

#include <cstdlib>

#include "framework/base/files.h"

namespace throng {

TemporaryFolder::TemporaryFolder(const std::string& name) {
  std::string folder = (temporary_folder() / (name + "-XXXXXX")).string();
  if (::mkdtemp(folder.data())) path_ = folder;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace throng
