// The lock that every call into HDF5 holds: Debian's parallel build of it is not thread-safe.
#pragma once
#include <mutex>

namespace throng::data {

inline std::recursive_mutex& lock_of_hdf5() {
  static std::recursive_mutex mutex;
  return mutex;
}

}  // namespace throng::data
