#include "framework/engine/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "framework/base/files.h"
#include "framework/data/dataset.h"

namespace throng::engine {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kVersion = 1;

// One waiting block, as the index of a rank's blocks holds it.
struct Entry {
  uint64_t node, input, file;
  int64_t partition;
  BlockPlace place;
};
static_assert(std::is_trivially_copyable_v<Entry> && sizeof(Entry) == 64);

json to_json(const BlockPlace& p) { return {p.offset, p.stored, p.size, p.checksum}; }
BlockPlace place_from(const json& j) { return {j.at(0), j.at(1), j.at(2), j.at(3)}; }

// [first, end) for each run of numbers that follow each other.
json ranges(std::vector<int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  json list = json::array();
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    list.push_back({numbers[i], numbers[end - 1] + 1});
    i = end;
  }
  return list;
}

}  // namespace

uint64_t CheckpointFolder::save(const Checkpoint& checkpoint, const WaitingRows& rows) {
  Activity writing(comm_.line(), Doing::kWriting, "a checkpoint");
  if (comm_.rank() == 0) make_folder(path_);
  comm_.barrier();
  ++generation_;
  auto file = std::make_shared<BlockFile>(BlockFile::create(path_ / fmt::format("blocks-{:06}-{:05}", generation_, comm_.rank())));
  std::vector<std::string> names;
  std::vector<Entry> entries;
  for (const auto& [place, buckets] : rows) {
    buckets->keep(file);
    for (const auto& block : buckets->kept()) {
      const std::string name = block.file->path().filename();
      if (names.empty() || names.back() != name) names.push_back(name);  // few: blocks of a file mostly follow each other
      entries.push_back({place.first, place.second, names.size() - 1, block.partition, block.place});
    }
  }
  const BlockPlace index = file->add(std::as_bytes(std::span(entries)));
  file->sync();
  const json mine{{"index", {{"file", file->path().filename()}, {"place", to_json(index)}, {"files", names}}}, {"finished", checkpoint.finished}, {"written", checkpoint.written}};
  const auto all = comm_.gather(mine.dump());
  if (comm_.rank() == 0) {
    fsync_path(path_);
    json whole{{"version", kVersion}, {"key", key_}, {"generation", generation_}, {"stage", checkpoint.stage}, {"record", checkpoint.record.to_json()}};
    std::set<std::string> in_use;
    std::vector<int64_t> finished;
    for (const auto& text : all) {
      const json one = json::parse(text);
      const auto theirs = one["finished"].get<std::vector<int64_t>>();
      finished.insert(finished.end(), theirs.begin(), theirs.end());
      whole["indexes"].push_back(one["index"]);
      if (one["written"] != "") whole["written"].push_back(one["written"]);
      in_use.insert(one["index"]["file"].get<std::string>());
      for (const auto& name : one["index"]["files"]) in_use.insert(name.get<std::string>());
    }
    whole["finished"] = ranges(std::move(finished));
    write_file_atomically(path_ / "checkpoint.json", whole.dump(1));
    for (const auto& entry : fs::directory_iterator(path_))
      if (entry.path().filename() != "checkpoint.json" && !in_use.count(entry.path().filename())) fs::remove(entry.path());
  }
  comm_.barrier();
  return file->stored_bytes();
}

std::optional<Checkpoint> CheckpointFolder::load(WaitingRows& rows, const std::function<std::unique_ptr<Buckets>()>& make, const std::function<int64_t(size_t)>& num_partitions) {
  std::string text;
  if (comm_.rank() == 0 && fs::exists(path_ / "checkpoint.json")) text = read_file(path_ / "checkpoint.json");
  comm_.broadcast(text);
  if (text.empty()) return {};
  try {
    const json whole = json::parse(text);
    if (whole.at("version") != kVersion || whole.at("key") != key_) return {};
    generation_ = whole.at("generation");
    Checkpoint checkpoint;
    checkpoint.stage = whole.at("stage");
    for (const auto& range : whole.at("finished"))
      for (int64_t p = range.at(0); p < range.at(1); ++p) checkpoint.finished.push_back(p);
    if (whole.contains("written")) checkpoint.written = whole["written"].dump();
    checkpoint.record = StepRecord::from_json(whole.at("record"));
    std::map<std::string, std::shared_ptr<const BlockFile>> files;
    auto file = [&](const std::string& name) {
      auto& slot = files[name];
      if (!slot) slot = std::make_shared<BlockFile>(BlockFile::open(path_ / name));
      return slot;
    };
    for (const auto& index : whole.at("indexes")) {
      const Buffer bytes = file(index.at("file"))->read(place_from(index.at("place")));
      std::vector<Entry> entries(bytes.size() / sizeof(Entry));
      if (!entries.empty()) std::memcpy(entries.data(), bytes.data(), entries.size() * sizeof(Entry));
      for (const auto& e : entries) {
        const int64_t n = num_partitions(e.node);
        if (e.partition < data::first_partition(comm_.rank(), comm_.size(), n) || e.partition >= data::first_partition(comm_.rank() + 1, comm_.size(), n)) continue;
        auto& buckets = rows[{e.node, e.input}];
        if (!buckets) buckets = make();
        buckets->add_kept({e.partition, file(index.at("files").at(e.file)), e.place});
      }
    }
    return checkpoint;
  } catch (const json::exception& e) {
    throw data_error("{}: damaged: {}", (path_ / "checkpoint.json").string(), e.what()).with_hint("remove the folder; the step then begins anew");
  }
}

void CheckpointFolder::remove() const {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace throng::engine
