#include "framework/base/spill_file.h"

#include "framework/base/error.h"
#include "framework/base/units.h"

namespace throng {

void SpillQuota::take(uint64_t bytes) {
  if (whole_) whole_->take(bytes);
  const uint64_t used = used_ += bytes;
  if (used <= limit_) {
    total_ += bytes;
    return;
  }
  used_ -= bytes;
  throw system_error("spilling {} more to disk would pass the quota of {} a rank", format_bytes(bytes), format_bytes(limit_))
      .with_hint("raise --spill-quota, or --memory so that less is spilled");
}

void SpillQuota::give_back(uint64_t bytes) {
  if (whole_) whole_->give_back(bytes);
  used_ -= bytes;
}

BlockPlace SpillFile::add(std::span<const std::byte> bytes) {
  if (!file_) file_.emplace(BlockFile::temporary(folder_));
  BlockPlace place;
  try {
    place = file_->add(bytes);
  } catch (Error& e) {
    e.prefix("spilling rows: ");
    throw std::move(e).with_hint("free the disk, set TMPDIR to a larger one, or raise --memory");
  }
  quota_->take(place.stored);
  taken_ += place.stored;
  return place;
}

const BlockFile& SpillFile::file() const {
  THRONG_CHECK(file_, "a block of a spill file that holds none");
  return *file_;
}

}  // namespace throng
