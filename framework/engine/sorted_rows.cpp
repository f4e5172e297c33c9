#include "framework/engine/sorted_rows.h"

#include <algorithm>
#include <tuple>

namespace throng::engine {

using data::Batch;

namespace {
constexpr size_t kMostRuns = 128;  // merged at once
constexpr uint64_t kLeastSlice = uint64_t{32} << 10;
}  // namespace

// In order of the place they come from, so that sorting meets rows with equal keys in their order.
Batch load_blocks(std::vector<StoredBlock> blocks, const std::shared_ptr<const data::Schema>& schema) {
  std::vector<Buffer> bytes;
  for (auto& block : blocks) bytes.push_back(block.take());
  std::vector<std::tuple<int64_t, int64_t, size_t>> order;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto origin = Batch::origin_of(bytes[i]);
    order.emplace_back(origin.partition, origin.first_row, i);
  }
  std::sort(order.begin(), order.end());
  std::vector<Buffer> sorted;
  for (const auto& [partition, row, i] : order) sorted.push_back(std::move(bytes[i]));
  return Batch::deserialize(sorted, schema);
}

SortedRows::SortedRows(std::shared_ptr<const data::Schema> schema, std::vector<data::OrderBy> order, std::string place, std::vector<StoredBlock> blocks, uint64_t memory,
                       const Resources& resources)
    : schema_(std::move(schema)), order_(std::move(order)), place_(std::move(place)) {
  uint64_t total = 0;
  for (const auto& b : blocks) total += b.size();
  if (total <= memory) {
    whole_ = sorted(load_blocks(std::move(blocks), schema_));
    return;
  }
  file_ = std::make_shared<SpillFile>(resources.spill_folder, resources.quota);
  const uint64_t run_bytes = std::max<uint64_t>(memory / 4, 1);  // sorting takes several copies
  const uint64_t num_runs = std::min<uint64_t>(kMostRuns, total / run_bytes + 1);
  const uint64_t slice_bytes = std::max(kLeastSlice, memory / 4 / num_runs);
  std::vector<StoredBlock> portion;
  uint64_t bytes = 0;
  auto end_run = [&] {
    if (!portion.empty()) runs_.push_back(make_run(sorted(load_blocks(std::move(portion), schema_)), slice_bytes));
    portion.clear();
    bytes = 0;
  };
  for (auto& block : blocks) {
    if (bytes > 0 && bytes + block.size() > run_bytes) end_run();
    bytes += block.size();
    portion.push_back(std::move(block));
  }
  end_run();
  while (runs_.size() > kMostRuns) {  // another pass over all runs
    older_ = std::exchange(file_, std::make_shared<SpillFile>(resources.spill_folder, resources.quota));
    std::vector<Run> longer;
    for (size_t first = 0; first < runs_.size(); first += kMostRuns) {
      std::vector<Run> some(std::make_move_iterator(runs_.begin() + ptrdiff_t(first)), std::make_move_iterator(runs_.begin() + ptrdiff_t(std::min(runs_.size(), first + kMostRuns))));
      Run& run = longer.emplace_back();
      while (auto rows = merge(some))
        for (auto& slice : make_run(*rows, slice_bytes).slices) run.slices.push_back(slice);
    }
    runs_ = std::move(longer);
    older_.reset();
  }
}

Batch SortedRows::sorted(const Batch& rows) const { return rows.take(data::ordered_rows(rows, order_, rows.column(place_).values<int64_t>())); }

SortedRows::Run SortedRows::make_run(const Batch& rows, uint64_t slice_bytes) {
  Run run;
  const int64_t n = rows.num_rows();
  const int64_t step = std::max<int64_t>(1, n * int64_t(slice_bytes) / int64_t(std::max<uint64_t>(1, rows.num_bytes())));
  for (int64_t at = 0; at < n; at += step) {
    Buffer bytes;
    rows.slice(at, std::min(step, n - at)).serialize(bytes);
    run.slices.push_back(file_->add(bytes));
  }
  return run;
}

int64_t SortedRows::rows_up_to(const Run& run, const Batch& bound, int64_t bound_row) const {
  const data::RowComparison compare(run.rows, bound, order_);
  auto places = run.rows.column(place_).values<int64_t>();
  const int64_t bound_place = bound.column(place_).values<int64_t>()[size_t(bound_row)];
  int64_t low = run.at, high = run.rows.num_rows();
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    const int k = compare(middle, bound_row);
    if (k < 0 || (k == 0 && places[size_t(middle)] <= bound_place)) low = middle + 1;
    else high = middle;
  }
  return low;
}

// What no row on disk comes before: up to the least of the last rows in hand.
std::optional<Batch> SortedRows::merge(std::vector<Run>& runs) const {
  const SpillFile& file = older_ ? *older_ : *file_;
  const Run* least = nullptr;
  for (auto& run : runs) {
    if (run.at == run.rows.num_rows() && run.more()) run.rows = Batch::deserialize(file.read(run.slices[run.next++]), schema_), run.at = 0;
    if (!run.more()) continue;
    if (!least || rows_up_to(run, least->rows, least->rows.num_rows() - 1) == run.rows.num_rows()) least = &run;
  }
  std::vector<Batch> parts;
  const Batch bound = least ? least->rows : Batch();
  for (auto& run : runs) {
    if (run.at == run.rows.num_rows()) continue;
    const int64_t end = least ? rows_up_to(run, bound, bound.num_rows() - 1) : run.rows.num_rows();
    if (end > run.at) parts.push_back(run.rows.slice(run.at, end - run.at));
    run.at = end;
  }
  if (parts.empty()) return {};
  return parts.size() == 1 ? parts[0] : sorted(Batch::concat(*schema_, parts));
}

std::optional<Batch> SortedRows::next() {
  if (whole_) return std::exchange(whole_, std::nullopt);
  return runs_.empty() ? std::nullopt : merge(runs_);
}

uint64_t SortedRows::spilled_bytes() const { return file_ ? file_->stored_bytes() : 0; }

}  // namespace throng::engine
