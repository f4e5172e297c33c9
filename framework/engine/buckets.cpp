#include "framework/engine/buckets.h"

namespace throng::engine {

void Buckets::add(int64_t partition, Buffer block) {
  const uint64_t size = block.size(), keep_free = resources_.memory.limit_bytes() / 2;
  bool fits = resources_.memory.try_reserve(size, keep_free);
  if (!fits) {
    spill();
    fits = resources_.memory.try_reserve(size, keep_free);
  }
  in_memory_[partition].push_back(std::move(block));
  if (fits) reserved_ += size;
  else spill();
}

void Buckets::spill() {
  if (in_memory_.empty()) return;
  if (!spill_) spill_ = std::make_shared<SpillFile>(resources_.spill_folder, resources_.quota);
  for (auto& [partition, blocks] : in_memory_)
    for (auto& block : blocks) spilled_[partition].push_back(spill_->add(block));
  in_memory_.clear();
  resources_.memory.release(reserved_);
  reserved_ = 0;
}

std::vector<StoredBlock> Buckets::take(int64_t partition) {
  std::vector<StoredBlock> blocks;
  if (auto it = in_memory_.find(partition); it != in_memory_.end()) {
    for (auto& block : it->second) {
      resources_.memory.release(block.size());
      reserved_ -= block.size();
      blocks.emplace_back(std::move(block));
    }
    in_memory_.erase(it);
  }
  if (auto it = spilled_.find(partition); it != spilled_.end()) {
    const std::shared_ptr<const BlockFile> file(spill_, &spill_->file());
    for (const auto& place : it->second) blocks.emplace_back(file, place);
    spilled_.erase(it);
  }
  if (auto it = kept_.find(partition); it != kept_.end()) {
    for (auto& block : it->second) blocks.emplace_back(std::move(block.file), block.place);
    kept_.erase(it);
  }
  return blocks;
}

uint64_t Buckets::size_of(int64_t partition) const {
  uint64_t bytes = 0;
  if (auto it = in_memory_.find(partition); it != in_memory_.end())
    for (const auto& block : it->second) bytes += block.size();
  if (auto it = spilled_.find(partition); it != spilled_.end())
    for (const auto& place : it->second) bytes += place.size;
  if (auto it = kept_.find(partition); it != kept_.end())
    for (const auto& block : it->second) bytes += block.place.size;
  return bytes;
}

void Buckets::keep(const std::shared_ptr<BlockFile>& file) {
  for (auto& [partition, blocks] : in_memory_)
    for (auto& block : blocks) kept_[partition].push_back({file, file->add(block)});
  in_memory_.clear();
  resources_.memory.release(reserved_);
  reserved_ = 0;
  for (auto& [partition, places] : spilled_)
    for (const auto& place : places) kept_[partition].push_back({file, file->copy(spill_->file(), place)});
  spilled_.clear();
  spill_.reset();
}

std::vector<Buckets::Kept> Buckets::kept() const {
  std::vector<Kept> all;
  for (const auto& [partition, blocks] : kept_)
    for (const auto& block : blocks) all.push_back({partition, block.file, block.place});
  return all;
}

}  // namespace throng::engine
