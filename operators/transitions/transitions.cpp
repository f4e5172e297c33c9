#include "operators/transitions/transitions.h"

#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class TransitionsOperator : public graph::CollectiveOperator {
 public:
  explicit TransitionsOperator(Transitions params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& input = inputs[0];
    input.at(params_.by);
    if (input.at(params_.ts).type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", params_.ts, data::type_name(input.at(params_.ts).type));
    for (const auto& name : {params_.value, params_.segment})
      if (!name.empty() && !has_text(input.at(name).type)) throw job_error("column '{}' is {}; expected text or whole numbers", name, data::type_name(input.at(name).type));
    output_ = data::Schema();
    if (!params_.segment.empty()) output_.add({"segment", Type::kString});
    for (const char* name : {"from", "to"}) output_.add({name, Type::kString});
    for (const char* name : {"count", "users"}) output_.add({name, Type::kInt64});
    output_.add({"share", Type::kFloat64});
    return output_;
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override {
    graph::Names names{params_.by, params_.ts, params_.value};
    if (!params_.segment.empty()) names.push_back(params_.segment);
    return names;
  }
  Contract contract(size_t) const override { return {{params_.by}, {params_.ts}, {}, {}}; }

  void run(graph::CollectiveContext& context) override {
    Counts counts;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      Counts local = count(batch);
      std::lock_guard lock(mutex);
      for (const auto& [key, c] : local) counts[key].add(c);
    });
    auto& output = context.output("", output_, 1);
    auto all = context.comm().gather(pack(counts));
    if (context.comm().rank() != 0) return;
    counts.clear();
    for (const auto& text : all) unpack(text, counts);
    write(counts, output);
  }

 private:
  struct Count {
    int64_t count = 0, users = 0;
    void add(const Count& o) { count += o.count, users += o.users; }
  };
  using Key = std::tuple<std::string, std::string, std::string>;  // segment, from, to
  using Counts = std::map<Key, Count>;

  static bool has_text(Type t) { return t == Type::kString || t == Type::kBool || is_integer(t); }
  static std::string text_of(const data::Column& c, int64_t row) {
    if (c.type() == Type::kString) return std::string(c.string(row));
    return c.type() == Type::kBool ? (c.as_int64(row) ? "true" : "false") : std::to_string(c.as_int64(row));
  }

  Counts count(const data::Batch& batch) const {
    const auto &by = batch.column(params_.by), &value = batch.column(params_.value);
    const data::Column* segment = params_.segment.empty() ? nullptr : &batch.column(params_.segment);
    const auto& times = batch.column(params_.ts);
    auto ts = times.values<int64_t>();
    Counts counts;
    std::set<Key> of_user;
    int64_t before = -1;
    auto end_user = [&] {
      for (const auto& key : of_user) ++counts[key].users;
      of_user.clear();
    };
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (r > 0 && data::Column::compare(by, r - 1, by, r) != 0) end_user(), before = -1;
      if (!by.is_valid(r) || !times.is_valid(r) || !value.is_valid(r)) continue;
      const bool near = before >= 0 && (params_.within.microseconds == 0 || ts[size_t(r)] - ts[size_t(before)] <= params_.within.microseconds);
      if (near && (params_.repeats || data::Column::compare(value, before, value, r) != 0)) {
        const bool known = !segment || segment->is_valid(before);
        if (known) {
          Key key(segment ? text_of(*segment, before) : "", text_of(value, before), text_of(value, r));
          ++counts[key].count;
          of_user.insert(std::move(key));
        }
      }
      before = r;
    }
    end_user();
    return counts;
  }

  std::string pack(const Counts& counts) const {
    data::Column segment(Type::kString), from(Type::kString), to(Type::kString), count(Type::kInt64), users(Type::kInt64);
    for (const auto& [key, c] : counts) {
      segment.append_string(std::get<0>(key)), from.append_string(std::get<1>(key)), to.append_string(std::get<2>(key));
      count.append(c.count), users.append(c.users);
    }
    std::vector<data::Column> columns;
    for (auto* c : {&segment, &from, &to, &count, &users}) columns.push_back(std::move(*c));
    Buffer packed;
    data::Batch(wire(), std::move(columns)).serialize(packed);
    return std::string(reinterpret_cast<const char*>(packed.data()), packed.size());
  }
  static void unpack(const std::string& text, Counts& counts) {
    data::Batch rows = data::Batch::deserialize(std::as_bytes(std::span(text)), std::make_shared<data::Schema>(wire()));
    for (int64_t r = 0; r < rows.num_rows(); ++r)
      counts[{std::string(rows.column(0).string(r)), std::string(rows.column(1).string(r)), std::string(rows.column(2).string(r))}].add({rows.column(3).as_int64(r), rows.column(4).as_int64(r)});
  }
  static data::Schema wire() { return {{"segment", Type::kString}, {"from", Type::kString}, {"to", Type::kString}, {"count", Type::kInt64}, {"users", Type::kInt64}}; }

  void write(const Counts& counts, data::DatasetWriter& output) const {
    std::map<std::pair<std::string, std::string>, int64_t> totals;
    for (const auto& [key, c] : counts) totals[{std::get<0>(key), std::get<1>(key)}] += c.count;
    data::Column segment(Type::kString), from(Type::kString), to(Type::kString), count(Type::kInt64), users(Type::kInt64), share(Type::kFloat64);
    for (const auto& [key, c] : counts) {
      segment.append_string(std::get<0>(key)), from.append_string(std::get<1>(key)), to.append_string(std::get<2>(key));
      count.append(c.count), users.append(c.users);
      share.append(double(c.count) / double(totals[{std::get<0>(key), std::get<1>(key)}]));
    }
    std::vector<data::Column> columns;
    if (!params_.segment.empty()) columns.push_back(std::move(segment));
    for (auto* c : {&from, &to, &count, &users, &share}) columns.push_back(std::move(*c));
    output.write(0, data::Batch(output_, std::move(columns)));
  }

  Transitions params_;
  data::Schema output_;
};

}  // namespace
}  // namespace throng::op

void register_transitions(throng::graph::Registry& registry) { registry.add<throng::op::Transitions, throng::op::TransitionsOperator>(); }
