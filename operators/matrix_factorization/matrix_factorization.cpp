#include "operators/matrix_factorization/matrix_factorization.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/data/resampling.h"
#include "framework/graph/registry.h"
#include "framework/recommend/factor_scores.h"
#include "framework/tensor/vector_kernels.h"
#include "framework/train/trainer.h"
#include "operators/matrix_factorization/new_users.h"

namespace throng::op {
namespace {

using namespace recommend;

using data::Type;
using nlohmann::json;

class MatrixFactorizationOperator : public Recommender {
 public:
  explicit MatrixFactorizationOperator(MatrixFactorization params) : Recommender(params, "matrix_factorization, " + params.method, params.shards), params_(std::move(params)) {
    if (!params_.rating.empty()) take_values_from(params_.rating);
  }

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (rated() && params_.method == "bpr") throw job_error("'method' bpr ranks items and has no use for 'rating'").with_hint("als or sgd foretell ratings");
    if (!rated() && params_.method == "sgd") throw job_error("'method' sgd foretells ratings and needs 'rating'").with_hint("als or bpr learn from what was taken");
    if (rated() && params_.rank_against > 0) throw job_error("'rank_against' goes without 'rating': ratings are foretold, not ranked");
    data::Schema schema = Recommender::bind(inputs);
    if (!rated()) return schema;
    const auto& rating = inputs[0].at(params_.rating);
    if (rating.type != Type::kFloat64 && rating.type != Type::kFloat32 && !is_integer(rating.type)) throw job_error("column '{}' is {}; expected numbers", rating.name, data::type_name(rating.type));
    rating_schema_ = data::Schema{inputs[0].at(params_.by)};
    rating_schema_.set({params_.item, inputs[0].at(params_.item).type}), rating_schema_.set({params_.rating, rating.type}), rating_schema_.set({"predicted", Type::kFloat64});
    return rating_schema_;
  }

  void check_ranks(int num_ranks) const override { train::check_shards(params_.shards, true, num_ranks); }
  bool learns() const override { return params_.replayed(); }

  void recorded(const std::filesystem::path& folder) const override {
    remove_files(folder, [](const std::string& name) { return name.starts_with("checkpoint.h5"); });
  }
  void run(graph::CollectiveContext& context) override {
    if (!rated()) return Recommender::run(context);
    read_users(context);
    learn(context);
    foretell(context);
    release_users();
  }

 protected:
  std::unique_ptr<ItemScorer> learn(graph::CollectiveContext& context) override {
    auto& comm = context.comm();
    take_rows(context);
    factors_ = Factors::begin(data_, size_t(params_.factors), 0.1, seed);
    const bool als = params_.method == "als";
    std::optional<Alternating> alternating;
    std::optional<Stochastic> stochastic;
    if (als) alternating.emplace(comm, data_, squares());
    else stochastic.emplace(comm, data_, rated() ? Stochastic::Loss::kSquared : Stochastic::Loss::kPairs, shards(), lr(), squares().regularization, seed);
    const auto checkpoint = context.folder() / "checkpoint.h5";
    Factors best = factors_;
    json curve = json::array();
    double best_score = -HUGE_VAL;
    int64_t there = comm.rank() == 0 && std::filesystem::exists(checkpoint);
    if (comm.allreduce(there)) {
      const auto store = data::ArrayStore::load(checkpoint);
      factors_.load(comm, store, "now_"), best.load(comm, store, "best_");
      curve = json::parse(store.texts.at("curve"));
      best_score = store.doubles("best_score").at(0);
    }
    const auto parallel = [&](size_t n, const std::function<void(size_t)>& body) { context.pool().parallel_for(n, body); };
    for (int64_t epoch = int64_t(curve.size()); epoch < params_.epochs; ++epoch) {
      json point{{"epoch", epoch + 1}};
      if (als) {
        alternating->epoch(comm, factors_, parallel);
        if (rated()) point["loss"] = training_error(context);
      } else {
        point["loss"] = stochastic->epoch(comm, factors_, epoch, parallel);
      }
      if (point.contains("loss") && !std::isfinite(point["loss"].get<double>())) throw data_error("loss became {} in epoch {}", point["loss"].get<double>(), epoch + 1).with_hint(als ? "raise 'regularization'" : "lower 'lr'");
      double score = double(epoch);  // without validation the last one is kept
      if (params_.validation && rated()) {
        point["validation_rmse"] = validation_rmse(context);
        score = -point["validation_rmse"].get<double>();
      } else if (params_.validation) {
        point["validation_ndcg10"] = score = validate(context, Scorer(*this, factors_)).ndcg10();
      }
      if (score > best_score) best = factors_, best_score = score;
      curve.push_back(point);
      context.progress(double(epoch + 1) / double(params_.epochs), fmt::format("epoch {}/{}", epoch + 1, params_.epochs) + (point.contains("loss") ? fmt::format(" loss {:.4f}", point["loss"].get<double>()) : ""));
      const bool stop = epoch + 1 < params_.epochs && context.stop_agreed();
      if (stop || (params_.checkpoint_every > 0 && (epoch + 1) % params_.checkpoint_every == 0)) {
        data::ArrayStore store;
        factors_.save(comm, store, "now_"), best.save(comm, store, "best_");
        store.texts["curve"] = curve.dump();
        store.put("best_score", std::vector<double>{best_score});
        if (comm.rank() == 0) store.save(checkpoint);
        comm.barrier();
      }
      if (stop) throw graph::stopped();
    }
    factors_ = std::move(best);
    save_catalogue(context);
    data::ArrayStore store;
    factors_.save(comm, store, "");
    store.put("mean", std::vector<double>{data_.mean});
    if (comm.rank() == 0) {
      store.save(context.folder() / "factors.h5");
      context.metric("curve", curve.dump());
    }
    comm.barrier();
    return std::make_unique<Scorer>(*this, factors_);
  }
  std::unique_ptr<ItemScorer> restore(const std::filesystem::path& folder) override {
    const auto store = data::ArrayStore::load(folder / "factors.h5");
    if (store.floats("item_bias").size() != catalogue().size()) throw data_error("{}: has {} items, the catalogue {}", (folder / "factors.h5").string(), store.floats("item_bias").size(), catalogue().size());
    return std::make_unique<ScorerOfNew>(NewUsers(store.floats("items"), store.floats("item_bias"), squares(), params_.method == "bpr", params_.epochs, lr(), seed));
  }
  void describe(json& result) const override { result["factors"] = params_.factors; }

 private:
  class Scorer : public ItemScorer {
   public:
    Scorer(const MatrixFactorizationOperator& of, const Factors& factors) : of_(of), factors_(factors), items_(factors.items.data(), factors.item_bias.size(), factors.width, factors.item_bias) {}
    std::unique_ptr<Scores> scores_of(std::span<const Asked> users) const override {
      std::vector<float> rows(users.size() * factors_.width);
      for (size_t u = 0; u < users.size(); ++u) std::copy_n(factors_.user(of_.row(users[u].partition, users[u].user)), factors_.width, &rows[u * factors_.width]);
      return items_.scores(std::move(rows));
    }

   private:
    const MatrixFactorizationOperator& of_;
    const Factors& factors_;
    recommend::ItemFactors items_;
  };

  /// Of users by the items they took, whoever they are.
  class ScorerOfNew : public ItemScorer {
   public:
    explicit ScorerOfNew(NewUsers users) : users_(std::move(users)), items_(users_.items().data(), users_.item_bias().size(), users_.width(), users_.item_bias()) {}
    std::unique_ptr<Scores> scores_of(std::span<const Asked> asked) const override {
      std::vector<float> rows(asked.size() * users_.width());
      for (size_t u = 0; u < asked.size(); ++u) {
        std::vector<Rating> taken;
        for (int32_t item : asked[u].history) taken.push_back({item, 1});
        users_.find(once(std::move(taken)), &rows[u * users_.width()]);
      }
      return items_.scores(std::move(rows));
    }

   private:
    NewUsers users_;
    recommend::ItemFactors items_;
  };

  bool rated() const { return !params_.rating.empty(); }
  LeastSquares squares() const { return {params_.regularization.value_or(params_.method == "sgd" ? 0.02 : params_.method == "bpr" ? 0.01 : rated() ? 0.05 : 0.1), params_.alpha, !rated()}; }
  double lr() const { return params_.lr.value_or(rated() ? 0.005 : 0.05); }
  size_t row(size_t partition, size_t user) const { return first_row_[partition] + user; }

  void take_rows(graph::CollectiveContext& context) {
    data_ = {};
    data_.items = catalogue().size();
    first_row_.clear();
    std::vector<std::vector<double>> sums;
    for (size_t s = 0, i = 0; s < shard_ends().size(); ++s) {
      for (; i < shard_ends()[s]; ++i) {
        first_row_.push_back(data_.of_user.size());
        sums.push_back({0, 0});
        for (const auto& user : held()[i].users) {
          std::vector<Rating> row;
          for (size_t r = 0; r < user.items.size(); ++r) {
            row.push_back({user.items[r], rated() ? user.values[r] : 1});
            sums.back()[0] += row.back().value, sums.back()[1] += 1;
          }
          if (!rated()) row = once(std::move(row));
          data_.of_user.push_back(std::move(row));
          data_.user_hash.push_back(user.hash);
        }
      }
      data_.shard_ends.push_back(data_.of_user.size());
    }
    const auto total = data::sum_over_partitions(context.comm(), sums, 2);
    if (total[1] == 0) throw data_error("there is no training row to learn from").with_hint("are all rows held out?");
    if (rated()) data_.mean = total[0] / total[1];
  }
  // By item, equal ones added up.
  static std::vector<Rating> once(std::vector<Rating> row) {
    std::sort(row.begin(), row.end(), [](const Rating& a, const Rating& b) { return a.item < b.item; });
    size_t kept = 0;
    for (const auto& r : row)
      if (kept > 0 && row[kept - 1].item == r.item) row[kept - 1].value += r.value;
      else row[kept++] = r;
    row.resize(kept);
    return row;
  }

  double foretold(size_t user, int32_t item) const {
    double value = data_.mean + double(factors_.user_bias[user]);
    if (item >= 0) value += double(factors_.item_bias[size_t(item)]) + double(factors_.product(user, size_t(item)));
    return value;
  }
  // Of all partitions: the root of the mean square of what `add` puts in (sum of squares, count).
  template <class Add>
  double root_mean_square(graph::CollectiveContext& context, const Add& add) const {
    std::vector<std::vector<double>> sums(held().size(), std::vector<double>(2));
    context.pool().parallel_for(held().size(), [&](size_t i) {
      for (size_t u = 0; u < held()[i].users.size(); ++u) add(i, u, sums[i]);
    });
    const auto total = data::sum_over_partitions(context.comm(), sums, 2);
    if (total[1] == 0) throw data_error("there is no rating to validate on: no user has three training ratings, or the last is of an item that is in no other's rows").with_hint("switch 'validation' off");
    return std::sqrt(total[0] / total[1]);
  }
  double training_error(graph::CollectiveContext& context) const {
    return root_mean_square(context, [&](size_t i, size_t u, std::vector<double>& sums) {
      for (const auto& r : data_.of_user[row(i, u)]) sums[0] += std::pow(double(r.value) - foretold(row(i, u), r.item), 2), sums[1] += 1;
    });
  }
  double validation_rmse(graph::CollectiveContext& context) const {
    return root_mean_square(context, [&](size_t i, size_t u, std::vector<double>& sums) {
      const auto& user = held()[i].users[u];
      if (user.validation >= 0) sums[0] += std::pow(double(user.validation_value) - foretold(row(i, u), user.validation), 2), sums[1] += 1;
    });
  }

  // Ratings of held-out rows, and how far they are off.
  void foretell(graph::CollectiveContext& context) {
    auto& output = context.output("", rating_schema_, context.num_partitions(0));
    const size_t samples = size_t(params_.bootstrap);
    // Of each shard its partitions' in order: all partitions' would be too many.
    const size_t width = 4 + 2 * samples, group = 4 * size_t(context.pool().num_threads());
    std::vector<std::vector<double>> of_shard(shard_ends().size(), std::vector<double>(width)), sums(group);
    std::vector<data::Batch> results(group);
    const auto foretell_one = [&](size_t first, size_t at) {
      const size_t i = first + at;
      auto& sum = sums[at];
      sum.assign(width, 0.0);
      const data::Batch batch = context.read(0, held()[i].number, {});
      const auto train = graph::training_rows(batch);
      const auto &item = batch.column(params_.item), &rating = batch.column(params_.rating);
      std::vector<int64_t> rows;
      data::Column predicted(Type::kFloat64);
      const auto& users = held()[i].users;
      for (size_t u = 0; u < users.size(); ++u) {
        const int64_t end = u + 1 < users.size() ? users[u + 1].first_row : batch.num_rows();
        for (int64_t r = users[u].first_row; r < end; ++r) {
          if (train[size_t(r)] || !counts(columns(), batch, r) || !batch.column(params_.by).is_valid(r)) continue;
          const int32_t id = catalogue().find(item_text(item, r));
          const double value = foretold(row(i, u), id), error = rating.as_double(r) - value;
          rows.push_back(r), predicted.append(value);
          sum[0] += 1, sum[1] += error * error, sum[2] += std::abs(error), sum[3] += id < 0;
          data::add_to_samples(std::array{1.0, error * error}, Random(seed, mix64(users[u].hash), uint64_t(r - users[u].first_row)), std::span(sum).subspan(4));
        }
      }
      std::vector<data::Column> columns;
      for (const auto& name : {params_.by, params_.item, params_.rating}) columns.push_back(batch.column(name).take(rows));
      columns.push_back(std::move(predicted));
      results[at] = data::Batch(rating_schema_, std::move(columns), batch.origin);
    };
    for (size_t first = 0, shard = 0; first < held().size(); first += group) {
      const size_t n = std::min(group, held().size() - first);
      context.pool().parallel_for(n, [&](size_t at) { foretell_one(first, at); });
      for (size_t at = 0; at < n; ++at) {
        while (first + at >= shard_ends()[shard]) ++shard;
        output.write(held()[first + at].number, std::move(results[at]));
        tensor::add(sums[at].data(), of_shard[shard].data(), width);
      }
    }
    std::vector<double> total(width);
    context.comm().sum_shards(std::vector<std::span<double>>(of_shard.begin(), of_shard.end()), shards(), total);
    if (context.comm().rank() != 0) return;
    const double rows = std::max(1.0, total[0]);
    json result{{"rows", int64_t(total[0])}, {"items_not_in_catalogue", int64_t(total[3])}, {"rmse", std::sqrt(total[1] / rows)}, {"mae", total[2] / rows}};
    result["protocol"] = "ratings of the held-out rows" + std::string(split().when()) + "; users and items without a training rating have the mean and what is known of the other";
    if (samples > 0 && total[0] > 0) {
      std::vector<double> values;
      for (size_t b = 0; b < samples; ++b) values.push_back(std::sqrt(total[5 + 2 * b] / std::max(1.0, total[4 + 2 * b])));
      const auto [low, high] = data::interval95(std::move(values));
      result["interval95"] = {{"rmse", {low, high}}};
      result["protocol"] = result["protocol"].get<std::string>() + fmt::format("; intervals: percentiles of {} Poisson bootstrap samples of rows", samples);
    }
    result["model"] = "matrix_factorization, " + params_.method, result["items"] = catalogue().size();
    describe(result);
    context.metric("result", result.dump());
  }

  MatrixFactorization params_;
  data::Schema rating_schema_;
  RatedItems data_;
  std::vector<size_t> first_row_;  // of the users of each held partition
  Factors factors_;
};

}  // namespace
}  // namespace throng::op

void register_matrix_factorization(throng::graph::Registry& registry) { registry.add<throng::op::MatrixFactorization, throng::op::MatrixFactorizationOperator>(); }
