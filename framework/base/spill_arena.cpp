#include "framework/base/spill_arena.h"

#include <algorithm>

#include "framework/base/error.h"

namespace throng {
namespace {

constexpr size_t kLeast = 1 << 20, kMost = 64 << 20;  // bytes of a chunk: a process may not map very many files

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

SpillArena::~SpillArena() {
  budget_.release(reserved_);
  quota_.give_back(spilled_);
}

SpillArena::Chunk SpillArena::make_chunk(size_t bytes) {
  if (budget_.try_reserve(bytes, budget_.limit_bytes() / 2)) {
    reserved_ += bytes;
    memory_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    return {memory_.back().get(), bytes};
  }
  quota_.take(bytes);
  try {
    files_.push_back(MappedFile::scratch(bytes));
  } catch (...) {
    quota_.give_back(bytes);
    throw;
  }
  spilled_ += bytes;
  return {files_.back().bytes().data(), bytes};
}

void* SpillArena::allocate(size_t bytes) {
  bytes = round_up(std::max<size_t>(1, bytes), kAligned);
  std::lock_guard lock(mutex_);
  if (bytes > chunk_.left) {
    const size_t usual = std::clamp(round_up(size_t(reserved_ + spilled_) / 8, kLeast), kLeast, kMost);
    // A large array has a chunk of its own, and what is left of the other stays in use.
    if (bytes > usual / 4) return make_chunk(bytes).next;
    try {
      chunk_ = make_chunk(usual);
    } catch (const Error&) {
      return make_chunk(bytes).next;  // the last of the quota or the disk
    }
  }
  void* at = chunk_.next;
  chunk_.next += bytes, chunk_.left -= bytes;
  return at;
}

}  // namespace throng
