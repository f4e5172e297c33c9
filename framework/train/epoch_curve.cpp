#include "framework/train/epoch_curve.h"

#include "framework/base/files.h"
#include "framework/data/array_store.h"
#include "framework/train/checkpoint.h"

namespace throng::train {

EpochCurve::EpochCurve(comm::Communicator& comm, std::filesystem::path folder) : comm_(comm), folder_(std::move(folder)) {
  std::string old;
  if (comm_.rank() == 0 && std::filesystem::exists(folder_ / "curve.json") && std::filesystem::exists(folder_ / "checkpoint.h5")) old = read_file(folder_ / "curve.json");
  comm_.broadcast(old);
  if (!old.empty()) points_ = nlohmann::json::parse(old);
}

void EpochCurve::add(int64_t epoch, nlohmann::json point) {
  while (int64_t(points_.size()) > epoch) points_.erase(points_.size() - 1);
  points_.push_back(std::move(point));
  if (comm_.rank() == 0) write_file_atomically(folder_ / "curve.json", points_.dump());
  comm_.barrier();
}

bool EpochCurve::add_validated(int64_t epoch, nlohmann::json point, const std::string& score, bool higher_is_better, int64_t patience, const std::vector<float>& weights) {
  while (int64_t(points_.size()) > epoch) points_.erase(points_.size() - 1);
  const auto better = [&](const nlohmann::json& a, const nlohmann::json& b) { return higher_is_better ? a[score].get<double>() > b[score].get<double>() : a[score].get<double>() < b[score].get<double>(); };
  const nlohmann::json* best = nullptr;
  for (const auto& p : points_)
    if (!best || better(p, *best)) best = &p;
  const bool is_best = !best || better(point, *best);
  const int64_t best_epoch = is_best ? epoch : (*best)["epoch"].get<int64_t>() - 1;
  if (is_best && comm_.rank() == 0) {
    data::ArrayStore store;
    store.put("weights", weights);
    store.save(folder_ / "best.h5");
  }
  add(epoch, std::move(point));
  return patience == 0 || epoch - best_epoch < patience;
}

std::vector<float> EpochCurve::best_weights() const { return data::ArrayStore::load(folder_ / "best.h5").floats("weights"); }

void EpochCurve::remove_files(const std::filesystem::path& folder) {
  Checkpoints::remove_newest(folder);
  std::error_code ignored;
  std::filesystem::remove(folder / "best.h5", ignored);
}

}  // namespace throng::train
