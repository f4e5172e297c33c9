#include "operators/train_sequence/sequence_data.h"

#include <algorithm>

#include "framework/base/hash.h"

namespace throng::op {

using data::Type;

std::string category_text(const data::Column& column, int64_t row) {
  if (column.type() == Type::kString) return std::string(column.string(row));
  if (column.type() == Type::kBool) return column.as_int64(row) ? "true" : "false";
  return std::to_string(column.as_int64(row));
}

std::vector<uint8_t> training_mask(const SequenceEncoding& encoding, const data::Batch& batch, uint64_t holdout_seed) {
  if (batch.schema().has(graph::kHoldoutColumn)) return graph::training_rows(batch);
  auto hashes = batch.hash_rows({encoding.by}, holdout_seed);
  std::vector<uint8_t> train(hashes.size());
  for (size_t r = 0; r < hashes.size(); ++r) train[r] = mix64(hashes[r] ^ holdout_seed) % 10 != 0;
  return train;
}

namespace {

// Labels rows whose whole wait lies before the last training row (for held-out rows, before the end of the data). Others have
// none, even where the event came in time: with those alone, the rows near the end would all be ones in which it happens.
// The wait goes on beyond the end of a sequence, since a pause of the user does not end it.
void label_events(const SequenceEncoding& e, const data::Batch& batch, const std::vector<uint8_t>& train, EncodedRows& out) {
  const auto& by = batch.column(e.by);
  auto ts = batch.column("ts").values<int64_t>();
  int64_t next_any = INT64_MAX, next_training = INT64_MAX;
  for (size_t r = out.num_rows(); r-- > 0;) {
    if (r + 1 < out.num_rows() && data::Column::compare(by, int64_t(r), by, int64_t(r + 1)) != 0) next_any = next_training = INT64_MAX;
    const bool learn = train[r] != 0;
    const int64_t next = learn ? next_training : next_any, known_until = learn ? e.last_training_us : e.last_us;
    if (known_until - ts[r] >= e.within_us) {
      out.target_number[r] = next != INT64_MAX && next - ts[r] <= e.within_us;
      out.use[r] = learn ? EncodedRows::kTrain : EncodedRows::kHoldout;
    }
    if (out.current_number[r] > 0) {
      next_any = ts[r];
      if (learn) next_training = ts[r];
    }
  }
}

// By user, so that no row of one stands on both sides; of others than those that may be held out for want of a column.
void set_validation_aside(const SequenceEncoding& e, const data::Batch& batch, uint64_t seed, EncodedRows& out) {
  if (e.validation == 0) return;
  constexpr uint64_t kSalt = 0x76616C6964;
  const auto hashes = batch.hash_rows({e.by}, seed);
  for (size_t r = 0; r < hashes.size(); ++r)
    if (out.use[r] == EncodedRows::kTrain && double(mix64(hashes[r] ^ mix64(seed ^ kSalt)) >> 11) * 0x1p-53 < e.validation) out.use[r] = EncodedRows::kValidation;
}

}  // namespace

EncodedRows encode_rows(const SequenceEncoding& e, const data::Batch& batch, uint64_t holdout_seed, SpillArena& arena, std::map<std::string, int64_t>* unseen) {
  EncodedRows out;
  const size_t n = size_t(batch.num_rows()), floats = e.num_floats();
  const auto& by = batch.column(e.by);
  auto ts = batch.column("ts").values<int64_t>();
  int sequence_at = batch.schema().find("sequence");
  const data::Column* sequence = sequence_at >= 0 && batch.schema()[size_t(sequence_at)].type == Type::kInt64 ? &batch.column(size_t(sequence_at)) : nullptr;

  std::vector<size_t> starts;
  for (size_t r = 0; r < n; ++r) {
    int64_t i = int64_t(r);
    bool fresh = r == 0 || data::Column::compare(by, i - 1, by, i) != 0 || (sequence && sequence->as_int64(i - 1) != sequence->as_int64(i));
    if (fresh) starts.push_back(r);
  }
  starts.push_back(n);
  out.starts = arena.keep(starts);

  for (size_t k = 0; k < e.categories.size(); ++k) {
    const auto& column = batch.column(e.categories[k]);
    const auto codes = out.categories.emplace_back(arena.make<int32_t>(n, 0));
    int64_t unknown = 0;
    for (size_t r = 0; r < n; ++r) {
      if (!column.is_valid(int64_t(r))) continue;
      codes[r] = e.vocabularies[k].find(category_text(column, int64_t(r))) + 1;
      unknown += codes[r] == 0;
    }
    if (unseen && unknown) (*unseen)["unseen_" + e.categories[k]] += unknown;
  }

  out.floats = arena.make<float>(n * floats, 0.0f);
  for (size_t k = 0; k < e.numbers.size(); ++k) {
    const auto& column = batch.column(e.numbers[k]);
    for (size_t r = 0; r < n; ++r)
      if (column.is_valid(int64_t(r))) out.floats[r * floats + k] = float((column.as_double(int64_t(r)) - e.means[k]) / e.deviations[k]);
  }
  if (e.gaps)
    for (size_t s = 0; s + 1 < out.starts.size(); ++s)
      for (size_t r = out.starts[s]; r < out.starts[s + 1]; ++r) {
        double gap = r == out.starts[s] ? 0 : std::max(0.0, double(ts[r] - ts[r - 1]) / 1e6);
        out.floats[r * floats + e.numbers.size()] = float((std::log1p(gap) - e.means.back()) / e.deviations.back());
      }

  // What follows each row.
  const auto& target = batch.column(e.target);
  auto train = training_mask(e, batch, holdout_seed);
  out.use = arena.make<uint8_t>(n, EncodedRows::kNone);
  out.target_class = arena.make<int32_t>(n, -1), out.current_class = arena.make<int32_t>(n, -1);
  out.target_number = arena.make<float>(n, 0.0f), out.current_number = arena.make<float>(n, 0.0f);
  for (size_t r = 0; r < n; ++r) {
    if (!target.is_valid(int64_t(r))) continue;
    if (e.task == Task::kNumber)
      out.current_number[r] = float((target.as_double(int64_t(r)) - e.target_mean) / e.target_deviation);
    else if (e.task == Task::kCategory)
      out.current_class[r] = e.classes.find(category_text(target, int64_t(r)));
    else
      out.current_number[r] = category_text(target, int64_t(r)) == e.event ? 1.0f : 0.0f;
  }
  out.recent = arena.make<int32_t>(n * e.recent, -1);
  for (size_t s = 0; s + 1 < out.starts.size() && e.recent > 0; ++s)
    for (size_t r = out.starts[s]; r < out.starts[s + 1]; ++r) {
      int32_t* now = &out.recent[r * e.recent];
      if (r > out.starts[s]) std::copy_n(now - e.recent, e.recent, now);
      const int32_t value = out.current_class[r];
      if (value < 0) continue;
      int32_t* old = std::find(now, now + e.recent - 1, value);  // moves to the front; the oldest falls out
      std::copy_backward(now, old, old + 1);
      now[0] = value;
    }
  if (e.task == Task::kEvent) {
    label_events(e, batch, train, out);
    set_validation_aside(e, batch, holdout_seed, out);
    return out;
  }
  for (size_t s = 0; s + 1 < out.starts.size(); ++s)
    for (size_t r = out.starts[s]; r + 1 < out.starts[s + 1]; ++r) {
      if (!target.is_valid(int64_t(r + 1))) continue;
      out.target_class[r] = out.current_class[r + 1];
      out.target_number[r] = out.current_number[r + 1];
      out.use[r] = train[r + 1] ? EncodedRows::kTrain : EncodedRows::kHoldout;
    }
  set_validation_aside(e, batch, holdout_seed, out);
  return out;
}

}  // namespace throng::op
