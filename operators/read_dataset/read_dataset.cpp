#include "operators/read_dataset/read_dataset.h"

#include "framework/data/dataset.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class ReadDatasetOperator : public graph::SourceOperator {
 public:
  explicit ReadDatasetOperator(ReadDataset params) : params_(std::move(params)) {}

  std::string discover() override {
    const auto path = folder_of_data();
    if (!data::DatasetReader::exists(path)) throw job_error("'path' is no dataset: {}", path.string()).with_hint("name a folder with a manifest.json, such as runs/today/steps/clean/data");
    return data::DatasetReader(path).manifest().content_hash();
  }
  void adopt(const std::string& discovered) override {
    reader_ = std::make_unique<data::DatasetReader>(folder_of_data());
    if (reader_->manifest().content_hash() != discovered) throw data_error("{}: changed while the job was planned", folder_of_data().string());
    content_ = discovered;
  }
  data::Schema bind(const std::vector<data::Schema>&) override { return reader_->schema(); }
  int64_t num_partitions() const override { return reader_->num_partitions(); }
  std::string fingerprint() const override { return content_; }
  bool rereads() const override { return true; }
  const data::DatasetReader* dataset() const override { return reader_.get(); }
  int64_t estimated_rows() const override { return reader_->manifest().num_rows(); }

  void read(int64_t partition, const graph::Names& columns, const std::function<void(data::Batch)>& emit) override { emit(reader_->read(partition, columns)); }

 private:
  std::filesystem::path folder_of_data() const { return base_folder / params_.path; }
  ReadDataset params_;
  std::unique_ptr<data::DatasetReader> reader_;
  std::string content_;
};

}  // namespace
}  // namespace throng::op

void register_read_dataset(throng::graph::Registry& registry) { registry.add<throng::op::ReadDataset, throng::op::ReadDatasetOperator>(); }
