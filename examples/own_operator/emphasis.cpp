#include "emphasis.h"

#include "framework/graph/registry.h"

namespace mine {
namespace {

using throng::data::Batch;
using throng::data::Column;
using throng::data::Schema;
using throng::data::Type;

class EmphasisOperator : public throng::graph::MapOperator {
 public:
  explicit EmphasisOperator(Emphasis params) : params_(std::move(params)) {}

  Schema bind(const std::vector<Schema>& inputs) override {
    if (inputs[0].at(params_.column).type != Type::kString) throw throng::job_error("column '{}' is not text", params_.column);
    if (params_.mark.empty()) throw throng::job_error("'mark' is empty");
    Schema schema = inputs[0];
    schema.set({"emphasis", Type::kFloat64});
    return schema;
  }

  Batch map(const Batch& batch) const override {
    const Column& text = batch.column(params_.column);
    Column emphasis(Type::kFloat64);
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      auto t = text.string(row);
      double marks = 0;
      for (size_t at = t.find(params_.mark); at != t.npos; at = t.find(params_.mark, at + params_.mark.size())) ++marks;
      emphasis.append(t.empty() ? 0.0 : marks / double(t.size()));
    }
    return batch.with({"emphasis", Type::kFloat64}, std::move(emphasis));
  }

 private:
  Emphasis params_;
};

}  // namespace
}  // namespace mine

extern "C" void throng_register(throng::graph::Registry& registry) { registry.add<mine::Emphasis, mine::EmphasisOperator>(); }
