// The name of the host this process runs on, for errors and for telling hosts apart.
#pragma once
#include <unistd.h>

#include <string>

namespace throng {

inline std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace throng
