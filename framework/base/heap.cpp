#include "framework/base/heap.h"

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace throng {

void keep_freed_memory() {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that glibc takes; larger blocks are given back at once
  ::mallopt(M_TRIM_THRESHOLD, 128 << 20);
#endif
}

}  // namespace throng
