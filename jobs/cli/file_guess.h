// What `throng init` thinks a data file holds.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace throng::cli {

struct FileGuess {
  std::string format = "csv", encoding = "utf-8", time_format;
  char delimiter = 0;                                     ///< 0: the format's own
  std::vector<std::string> header;                        ///< names given to the columns of a file without a header
  std::vector<std::pair<std::string, std::string>> map;   ///< our column, the file's; only where they differ
  std::vector<std::string> found;                         ///< our columns that the file has
  bool chinese = false;
  std::vector<std::string> remarks;                       ///< what was seen, for people

  bool has(const std::string& column) const { return std::find(found.begin(), found.end(), column) != found.end(); }
};

/// Reads the first lines. A data error where there is nothing to guess from, or no column that could be the time.
FileGuess guess_file(const std::string& path);

}  // namespace throng::cli
