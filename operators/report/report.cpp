#include "operators/report/report.h"

#include "framework/base/files.h"
#include "framework/graph/registry.h"
#include "operators/report/findings.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

class ReportOperator : public graph::CollectiveOperator {
 public:
  explicit ReportOperator(Report params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& events = inputs[0];
    if (events.at("ts").type != Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(events.at("ts").type));
    has_user_ = events.has(params_.user);
    zone_ = data::TimeZone(events.at("ts").time_zone);
    return {{"sentence", Type::kString}};
  }
  graph::Names needed_columns(size_t input, const data::Schema& schema, const graph::Names&) const override {
    if (input == 0) return {params_.user, "ts", params_.action, params_.item, params_.text, "topic", "topic_weight"};
    if (schema.has("topic")) return {"ts", "topic", "topic_weight", params_.text, params_.user, params_.action, params_.item};
    return schema.names();
  }
  // Users come together, in time order, so that transitions and events per user can be counted.
  Contract contract(size_t input) const override {
    if (input != 0 || !has_user_) return {};
    return {{params_.user}, {"ts"}, {}, {}};
  }

  void run(graph::CollectiveContext& context) override {
    json findings{{"language", params_.language}, {"title", params_.title}};
    findings["people"] = find_people(context, params_, zone_);
    std::vector<std::string> words;
    for (size_t i = 0; i < context.num_inputs(); ++i) {
      if (context.input_op(i) == "topics") findings["topics"] = find_topics(context, i, params_, zone_);
      if (context.input_op(i) == "trends") {
        findings["trends"] = find_trends(context, i, params_, zone_);
        if (context.comm().rank() == 0)
          for (const auto& r : findings["trends"]["risers"]) words.push_back(r["key"]);
      }
    }
    for (size_t i = 0; i < context.num_inputs(); ++i) {
      if (context.input_op(i) == "word2vec") findings["words"] = find_words(context, i, words);
      if (context.input_op(i) == "train_sequence" && context.comm().rank() == 0) findings["next"].push_back(find_next(context, i, params_));
    }
    if (!findings.contains("topics")) {  // then the first sentence is about actions
      std::string top = context.comm().rank() == 0 && !findings["people"]["actions"].empty() ? findings["people"]["actions"][0][0].get<std::string>() : "";
      context.comm().broadcast(top);
      findings["action_posts"] = find_action_posts(context, top, params_, zone_);
    }
    auto& output = context.output("", data::Schema{{"sentence", Type::kString}}, 1);
    if (context.comm().rank() != 0) return;
    findings["quality"] = find_quality(context);
    findings["bad_rows"] = find_bad_rows(findings["quality"], params_);
    findings["sentences"] = say(findings, params_);
    write_file_atomically(context.folder() / "report.json", findings.dump(1, ' ', false, json::error_handler_t::replace));
    data::Column sentences(Type::kString);
    for (const auto& s : findings["sentences"]) sentences.append_string(s["text"].get<std::string>());
    std::vector<data::Column> columns;
    columns.push_back(std::move(sentences));
    output.write(0, data::Batch(data::Schema{{"sentence", Type::kString}}, std::move(columns)));
  }

 private:
  Report params_;
  bool has_user_ = false;
  data::TimeZone zone_;
};

}  // namespace
}  // namespace throng::op

void register_report(throng::graph::Registry& registry) { registry.add<throng::op::Report, throng::op::ReportOperator>(); }
