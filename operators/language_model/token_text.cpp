#include "operators/language_model/token_text.h"

#include <algorithm>
#include <mutex>

#include "framework/base/spill_arena.h"

namespace throng::op {

void for_each_token(const data::Column& column, int64_t row, const std::function<void(std::string_view)>& visit) {
  if (!column.is_valid(row)) return;
  if (column.type() == data::Type::kListString) {
    for (int64_t i = 0; i < column.list_size(row); ++i) visit(column.list_string(row, i));
    return;
  }
  const std::string_view text = column.string(row);
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    while (end < text.size() && (uint8_t(text[end]) & 0xC0) == 0x80) ++end;  // the rest of a character of UTF-8
    visit(text.substr(at, end - at));
    at = end;
  }
}

void append_row(const TokenNumbers& numbers, const data::Column& column, int64_t row, std::vector<int32_t>& to) {
  if (!column.is_valid(row)) return;
  for_each_token(column, row, [&](std::string_view word) { to.push_back(numbers.find(word)); });
  to.push_back(TokenNumbers::kEnd);
}

TokenText::TokenText(graph::CollectiveContext& context, std::string column, int64_t max_words, int64_t min_count) : context_(context), column_(std::move(column)) {
  const int64_t partitions = context.num_partitions(0);
  std::vector<int64_t> sizes[2];
  for (auto& s : sizes) s.assign(size_t(partitions), 0);
  data::TextMap<data::ValueCount> counts, held_out;
  std::mutex mutex;
  columns_ = {column_};
  if (context.input_schema(0).has(graph::kHoldoutColumn)) columns_.emplace_back(graph::kHoldoutColumn);
  graph::Names looked_at = graph::holdout_columns(context.input_schema(0));
  looked_at.push_back(column_);
  graph::for_each_partition(context, 0, looked_at, [&](const data::Batch& batch) {
    data::TextMap<data::ValueCount> local[2];
    const auto train = graph::training_rows(batch);
    const data::Column& tokens = batch.column(column_);
    int64_t size[2] = {0, 0};
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (!tokens.is_valid(r)) continue;
      const Part part = train[size_t(r)] ? kTraining : kHeldOut;
      ++size[part];
      for_each_token(tokens, r, [&](std::string_view word) {
        ++size[part];
        auto it = local[part].find(word);
        if (it == local[part].end()) it = local[part].emplace(std::string(word), data::ValueCount{}).first;
        ++it->second.count;
      });
    }
    graph::HoldoutSeen seen;
    seen.see(batch);
    std::lock_guard lock(mutex);
    holdout_.add(seen);
    for (auto& [word, c] : local[kTraining]) counts[word].count += c.count;
    for (auto& [word, c] : local[kHeldOut]) held_out[word].count += c.count;
    for (Part part : {kTraining, kHeldOut}) sizes[part][size_t(batch.origin.partition)] = size[part];
  });
  for (Part part : {kTraining, kHeldOut}) {
    context.comm().allreduce(std::span(sizes[part]));
    starts_[part] = {0};
    for (int64_t n : sizes[part]) starts_[part].push_back(starts_[part].back() + n);
  }
  holdout_.add_ranks(context.comm());
  numbers_.words = data::Vocabulary::build(context.comm(), counts, min_count, max_words);
  for (Part part : {kTraining, kHeldOut}) {
    for (const auto& [word, c] : part == kTraining ? counts : held_out)
      if (numbers_.words.find(word) < 0) unknown_[part] += c.count;
    unknown_[part] = context.comm().allreduce(unknown_[part]);
  }
}

std::span<const int32_t> TokenText::read(Part part, int64_t begin, int64_t end) {
  const auto tokens = context_.arena().make<int32_t>(size_t(std::max<int64_t>(0, end - begin)));
  std::vector<int64_t> partitions;
  for (int64_t p = 0; p + 1 < int64_t(starts_[part].size()); ++p)
    if (std::max(starts_[part][size_t(p)], begin) < std::min(starts_[part][size_t(p) + 1], end)) partitions.push_back(p);
  context_.pool().parallel_for(partitions.size(), [&](size_t i) {
    const data::Batch batch = context_.read(0, partitions[i], columns_);
    const auto train = graph::training_rows(batch);
    std::vector<int32_t> numbers;
    for (int64_t r = 0; r < batch.num_rows(); ++r)
      if ((part == kTraining) == bool(train[size_t(r)])) append_row(numbers_, batch.column(column_), r, numbers);
    const int64_t start = starts_[part][size_t(partitions[i])], from = std::max(start, begin), to = std::min(starts_[part][size_t(partitions[i]) + 1], end);
    THRONG_CHECK(int64_t(numbers.size()) == starts_[part][size_t(partitions[i]) + 1] - start, "partition {} has {} tokens now", partitions[i], numbers.size());
    std::copy(numbers.begin() + (from - start), numbers.begin() + (to - start), tokens.begin() + (from - begin));
  });
  return tokens;
}

}  // namespace throng::op
