#include "operators/split/split.h"

#include <algorithm>

#include "framework/base/hash.h"
#include "framework/data/array_store.h"
#include "framework/data/time.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class SplitOperator : public graph::CollectiveOperator {
 public:
  explicit SplitOperator(Split params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const data::Schema& input = inputs[0];
    const bool by_hash = params_.by == "user" || params_.by == "row";
    if (params_.folds > 0 && !by_hash) throw job_error("'folds' goes with by: user or row, not by: {}", params_.by);
    if (params_.folds == 1) throw job_error("'folds' is 1; expected at least 2, so that there are rows to learn from");
    if (params_.fold > 0 && params_.fold >= params_.folds) throw job_error("'fold' is {}; expected less than 'folds', {}", params_.fold, params_.folds);
    if (params_.by == "time") {
      const auto& ts = input.at("ts");
      if (ts.type != data::Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(ts.type));
      if (!params_.at.empty()) {
        auto cut = data::parse_time(params_.at, data::TimeZone(ts.time_zone));
        if (!cut) throw job_error("'at' is not a time: '{}'", params_.at);
        cut_ = *cut;
      }
    } else if (params_.by == "last") {
      input.at(params_.user);
      if (input.at("ts").type != data::Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(input.at("ts").type));
    } else if (params_.by == "user" && input.at(params_.user).type != data::Type::kString) {
      throw job_error("column '{}' is {}; expected string", params_.user, data::type_name(input.at(params_.user).type));
    }
    return apply_schema(input);
  }
  Contract contract(size_t) const override {
    if (params_.by != "last") return {};
    return {{params_.user}, {"ts"}, {}, {}};
  }
  bool learns() const override { return true; }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    schema.set({std::string(graph::kHoldoutColumn), data::Type::kBool});
    return schema;
  }

  void run(graph::CollectiveContext& context) override {
    if (params_.by == "time" && params_.at.empty()) cut_ = find_cut(context);
    if (context.comm().rank() == 0) {
      data::ArrayStore state;
      state.put("cut", std::vector<int64_t>{cut_});
      state.save(context.folder() / "split.h5");
      if (params_.by == "time") context.metric("holdout_from", "\"" + data::TimeZone().format(cut_) + "\"");
    }
    replay(context);
  }
  void load(const std::filesystem::path& folder) override { cut_ = data::ArrayStore::load(folder / "split.h5").integers("cut").at(0); }

  data::Batch apply(const data::Batch& batch) const override {
    data::Column held = data::Column::zeros(data::Type::kBool, batch.num_rows());
    auto out = held.mutable_values<uint8_t>();
    int64_t count = 0;
    if (params_.by == "time") {
      auto ts = batch.column("ts").values<int64_t>();
      for (size_t r = 0; r < out.size(); ++r) count += out[r] = ts[r] >= cut_;
    } else if (params_.by == "last") {  // a user's rows lie together, the newest last
      const auto& users = batch.column(params_.user);
      for (int64_t r = 0; r < batch.num_rows(); ++r)
        count += out[size_t(r)] = users.is_valid(r) && (r + 1 == batch.num_rows() || data::Column::compare(users, r, users, r + 1) != 0);
    } else if (params_.by == "row") {
      for (size_t r = 0; r < out.size(); ++r) count += out[r] = holds_out(mix64(mix64(hash_seed()) ^ (uint64_t(batch.origin.partition) << 40 | uint64_t(batch.origin.first_row + int64_t(r)))));
    } else {
      const auto& users = batch.column(params_.user);
      for (size_t r = 0; r < out.size(); ++r) count += out[r] = holds_out(hash64(users.string(int64_t(r)), hash_seed()));
    }
    counters().add("rows_held_out", count);
    return batch.with({std::string(graph::kHoldoutColumn), data::Type::kBool}, std::move(held));
  }

 private:
  // Steps with other names cut the same folds.
  uint64_t hash_seed() const { return params_.folds > 0 ? mix64(uint64_t(params_.fold_seed)) : seed; }
  bool holds_out(uint64_t hash) const {
    if (params_.folds == 0) return double(hash) < params_.fraction * 0x1p64;
    return int((hash >> 32) * uint64_t(params_.folds) >> 32) == params_.fold;
  }

  // The smallest time such that at most `fraction` of the rows are at or after it: bisection on exact counts.
  int64_t find_cut(graph::CollectiveContext& context) {
    std::vector<int64_t> times;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {"ts"}, [&](const data::Batch& batch) {
      auto ts = batch.column("ts").values<int64_t>();
      std::lock_guard lock(mutex);
      times.insert(times.end(), ts.begin(), ts.end());
    });
    std::sort(times.begin(), times.end());
    auto& comm = context.comm();
    int64_t total = comm.allreduce(int64_t(times.size()));
    int64_t low = comm.allreduce(times.empty() ? INT64_MAX : times.front(), comm::Op::kMin);
    int64_t high = comm.allreduce(times.empty() ? INT64_MIN : times.back(), comm::Op::kMax);
    if (total == 0) return 0;
    high = high == INT64_MAX ? high : high + 1;
    const int64_t allowed = int64_t(params_.fraction * double(total));
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      int64_t after = times.end() - std::lower_bound(times.begin(), times.end(), middle);
      if (comm.allreduce(after) <= allowed) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  Split params_;
  int64_t cut_ = 0;
};

}  // namespace
}  // namespace throng::op

void register_split(throng::graph::Registry& registry) { registry.add<throng::op::Split, throng::op::SplitOperator>(); }
