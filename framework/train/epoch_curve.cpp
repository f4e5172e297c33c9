#include "framework/train/epoch_curve.h"

#include <cmath>
#include <utility>

#include "framework/base/files.h"
#include "framework/train/checkpoint.h"

namespace throng::train {
namespace {

constexpr const char *kBest = "best.h5", *kBefore = "best_before.h5";

/// The best one before stays until the next comes: the checkpoint that goes with these weights is not yet in its place, and a run that goes on without it goes through their epoch again.
void write_best(const std::filesystem::path& folder, int64_t epoch, const Weights& weights) {
  WeightsFile file(folder / kBest, weights.size());
  file.put(0, weights);
  std::error_code none_yet;
  std::filesystem::rename(folder / kBest, folder / kBefore, none_yet);
  file.finish(epoch + 1);
}

}  // namespace

EpochCurve::EpochCurve(comm::Communicator& comm, std::filesystem::path folder, std::string score, bool higher_is_better)
    : comm_(comm), folder_(std::move(folder)), score_(std::move(score)), higher_is_better_(higher_is_better) {
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

bool EpochCurve::better(const nlohmann::json& a, const nlohmann::json& b) const {
  return higher_is_better_ ? a[score_].get<double>() > b[score_].get<double>() : a[score_].get<double>() < b[score_].get<double>();
}

const nlohmann::json* EpochCurve::best() const {
  const nlohmann::json* found = nullptr;
  for (const auto& p : points_)
    if (!lost_.contains(p["epoch"].get<int64_t>()) && (!found || better(p, *found))) found = &p;
  return found;
}

bool EpochCurve::has_weights_of(int64_t epoch) const {
  for (const char* name : {kBest, kBefore})
    if (WeightsFile::epoch_of(folder_ / name) == epoch) return true;
  return false;
}

void EpochCurve::forget_lost() {
  if (std::exchange(looked_, true)) return;
  while (const nlohmann::json* found = best()) {
    const int64_t epoch = (*found)["epoch"].get<int64_t>(), there = comm_.rank() == 0 && has_weights_of(epoch);
    if (comm_.allreduce(there) > 0) return;
    lost_.insert(epoch);
  }
}

bool EpochCurve::add_validated(const EpochEnd& end, nlohmann::json point, int64_t patience) {
  const int64_t epoch = end.epoch;
  if (const double found = point[score_].get<double>(); !std::isfinite(found)) throw data_error("{} is {} after epoch {}", score_, found, epoch + 1).with_hint("lower lr, or set clip to 1");
  while (int64_t(points_.size()) > epoch) points_.erase(points_.size() - 1);
  forget_lost();
  const nlohmann::json* best_so_far = best();
  const bool is_best = !best_so_far || better(point, *best_so_far);
  const int64_t best_epoch = is_best ? epoch : (*best_so_far)["epoch"].get<int64_t>() - 1;
  if (is_best) {
    const Weights weights = end.weights();
    if (comm_.rank() == 0) end.before_checkpoint([folder = folder_, epoch, weights] { write_best(folder, epoch, weights); });
  }
  add(epoch, std::move(point));
  return patience == 0 || epoch - best_epoch < patience;
}

Weights EpochCurve::best_weights(size_t count) {
  forget_lost();  // a run that was stopped after its last epoch has added none
  const nlohmann::json* found = best();
  const int64_t epoch = found ? (*found)["epoch"].get<int64_t>() : 0;
  for (const char* name : {kBest, kBefore})
    if (WeightsFile::epoch_of(folder_ / name) == epoch && epoch > 0) return Weights::of(folder_ / name, count);
  throw data_error("{}: the weights of the best epoch are not there", folder_.string()).with_hint("run the step again from its beginning");
}

void EpochCurve::remove_files(const std::filesystem::path& folder) {
  Checkpoints::remove_newest(folder);
  throng::remove_files(folder, [](const std::string& name) { return name.starts_with(kBest) || name.starts_with(kBefore); });
}

}  // namespace throng::train
