#include "operators/vocabulary/vocabulary.h"

#include <set>

#include "framework/data/vocabulary.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class VocabularyOperator : public graph::CollectiveOperator {
 public:
  explicit VocabularyOperator(Vocabulary params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    Type type = inputs[0].at(params_.column).type;
    if (type != Type::kListString && type != Type::kString)
      throw job_error("column '{}' is {}; expected list<string> or string", params_.column, data::type_name(type)).with_hint("make tokens with op tokenize first");
    return apply_schema(inputs[0]);
  }
  bool learns() const override { return true; }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    schema.set({params_.into, Type::kListInt32});
    return schema;
  }
  std::map<std::string, data::Schema> side_outputs() const override {
    return {{"words", data::Schema{{"word", Type::kString}, {"count", Type::kInt64}, {"rows", Type::kInt64}}}};
  }

  void run(graph::CollectiveContext& context) override {
    data::TextMap<data::ValueCount> local;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      data::TextMap<data::ValueCount> counts;
      auto train = graph::training_rows(batch);
      std::set<std::string_view> in_row;
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (!train[size_t(r)]) continue;
        in_row.clear();
        for_each_word(batch.column(params_.column), r, [&](std::string_view word) {
          auto it = counts.find(word);
          if (it == counts.end()) it = counts.emplace(std::string(word), data::ValueCount{}).first;
          ++it->second.count;
          if (in_row.insert(word).second) ++it->second.rows;
        });
      }
      std::lock_guard lock(mutex);
      for (auto& [word, c] : counts) local[word].count += c.count, local[word].rows += c.rows;
    });
    words_ = data::Vocabulary::build(context.comm(), local, params_.min_count, params_.max_size);
    auto& table = context.output("words", side_outputs().at("words"), 1);
    if (context.comm().rank() == 0) {
      data::ArrayStore state;
      words_.save(state, "words");
      state.save(context.folder() / "vocabulary.h5");
      data::Column word(Type::kString), count(Type::kInt64), rows(Type::kInt64);
      for (size_t i = 0; i < words_.size(); ++i) word.append_string(words_.word(i)), count.append(words_.count(i)), rows.append(words_.rows(i));
      std::vector<data::Column> columns;
      columns.push_back(std::move(word)), columns.push_back(std::move(count)), columns.push_back(std::move(rows));
      table.write(0, data::Batch(side_outputs().at("words"), std::move(columns)));
      context.metric("words", std::to_string(words_.size()));
    }
    replay(context);
  }
  void load(const std::filesystem::path& folder) override {
    words_ = data::Vocabulary::load(data::ArrayStore::load(folder / "vocabulary.h5"), "words");
  }
  data::Batch apply(const data::Batch& batch) const override {
    data::Column ids(Type::kListInt32);
    std::vector<int32_t> row;
    int64_t unseen = 0;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      row.clear();
      for_each_word(batch.column(params_.column), r, [&](std::string_view word) {
        int32_t id = words_.find(word);
        id >= 0 ? row.push_back(id) : void(++unseen);
      });
      ids.append_list<int32_t>(row);
    }
    counters().add("unseen_words", unseen);
    return batch.with({params_.into, Type::kListInt32}, std::move(ids));
  }

 private:
  template <class Visit>
  static void for_each_word(const data::Column& c, int64_t row, Visit visit) {
    if (!c.is_valid(row)) return;
    if (c.type() == Type::kString) return visit(c.string(row));
    for (int64_t i = 0; i < c.list_size(row); ++i) visit(c.list_string(row, i));
  }

  Vocabulary params_;
  data::Vocabulary words_;
};

}  // namespace
}  // namespace throng::op

void register_vocabulary(throng::graph::Registry& registry) { registry.add<throng::op::Vocabulary, throng::op::VocabularyOperator>(); }
