// matrix_factorization: the equations it solves, what it finds in planted data, the same bits on any number of ranks and after a stop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "framework/data/vocabulary.h"
#include "operators/matrix_factorization/new_users.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Given {
  int user, item;
  double rating;
};

// Ratings that are a mean, biases and a product of two numbers, with a little noise.
std::vector<Given> planted(int users, int items, double share) {
  std::vector<Given> all;
  for (int u = 0; u < users; ++u)
    for (int i = 0; i < items; ++i) {
      Random pair(4, uint64_t(u), uint64_t(i)), of_user(5, uint64_t(u)), of_item(6, uint64_t(i));
      if (pair.uniform() >= share) continue;
      const double bias = 0.3 * of_user.normal() + 0.3 * of_item.normal(), product = of_user.normal() * of_item.normal();
      all.push_back({u, i, 3 + bias + product + 0.1 * pair.normal()});
    }
  return all;
}

std::string lines(const std::vector<Given>& given) {
  // Rows are long, so that a small file has many partitions.
  std::string text = "user,ts,item,rating,note\n";
  int64_t ts = 1'700'000'000;
  for (const auto& g : given) text += fmt::format("u{},{},i{},{:.4f},{}\n", g.user, ts++, g.item, g.rating, std::string(120, 'n'));
  return text;
}

// Users like the items of their own kind.
std::vector<Given> kinds(int users, int items, int taken) {
  std::vector<Given> all;
  for (int n = 0; n < taken; ++n)
    for (int u = 0; u < users; ++u) {
      Random random(8, uint64_t(u), uint64_t(n));
      int item = int(random.below(uint32_t(items)));
      if (random.uniform() < 0.95) item = item / 4 * 4 + u % 4;
      all.push_back({u, item, 1});
    }
  return all;
}

std::string job(const std::string& split, const std::string& steps) {
  return "job: j\nsteps:\n  events: { op: read_events, path: e.csv, partitions: 11, types: { rating: float64 } }\n  parts: { op: split, from: events, " + split + " }\n" + steps;
}
data::ArrayStore factors_of(const testing::JobRun& run, const std::string& step) { return data::ArrayStore::load(engine::RunDirectory(run.folder).state(step) / "factors.h5"); }

TEST(MatrixFactorization, SameBitsOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(planted(60, 25, 0.4)));
  const std::string yaml = job("by: row", "  sgd: { op: matrix_factorization, from: parts, rating: rating, method: sgd, factors: 5, epochs: 3 }\n"
                                          "  als: { op: matrix_factorization, from: parts, rating: rating, factors: 5, epochs: 3, validation: false, bootstrap: 50 }\n"
                                          "  bpr: { op: matrix_factorization, from: parts, method: bpr, factors: 5, epochs: 3, rank_against: 6 }\n"
                                          "  ials: { op: matrix_factorization, from: parts, factors: 5, epochs: 3, shards: 16 }\n");
  const auto one = testing::run_job(yaml, folder, "ranks1");
  for (int ranks : {1, 2, 3, 4, 5, 8}) {
    const auto other = testing::run_job(yaml, folder, "other", {ranks, ranks == 1 ? 2 : ranks == 2 ? 3 : 1});
    for (const char* step : {"sgd", "als", "bpr", "ials"}) {
      EXPECT_EQ(one.steps.at(step).content_hash, other.steps.at(step).content_hash) << step << " on " << ranks;
      EXPECT_EQ(one.steps.at(step).metrics, other.steps.at(step).metrics) << step << " on " << ranks;
      EXPECT_EQ(factors_of(one, step).content_hash(), factors_of(other, step).content_hash()) << step << " on " << ranks;
    }
  }
}

TEST(MatrixFactorization, FindsPlantedRatings) {
  testing::TemporaryFolder folder;
  const auto given = planted(150, 60, 0.4);
  folder.write("e.csv", lines(given));
  const auto run = testing::run_job(job("by: row", "  sgd: { op: matrix_factorization, from: parts, rating: rating, method: sgd, factors: 4, epochs: 150, lr: 0.02, regularization: 0.01 }\n"
                                                   "  als: { op: matrix_factorization, from: parts, rating: rating, factors: 6, regularization: 0.005, epochs: 20, validation: false }\n"
                                                   "  mean: { op: matrix_factorization, from: parts, rating: rating, method: sgd, lr: 0, factors: 1, epochs: 1, validation: false }\n"),
                                    folder, "out", {2, 2});
  auto result = [&](const char* step) { return run.steps.at(step).metrics["result"]; };
  EXPECT_GT(result("mean")["rmse"].get<double>(), 0.8);
  for (const char* step : {"sgd", "als"}) EXPECT_LT(result(step)["rmse"].get<double>(), 0.25) << step << ": the noise is 0.1";
  // The result is what its rows say.
  const auto rows = run.rows("sgd");
  double squares = 0, absolute = 0;
  std::map<std::pair<std::string, std::string>, double> ratings;
  for (const auto& g : given) ratings[{fmt::format("u{}", g.user), fmt::format("i{}", g.item)}] = g.rating;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    const double rating = rows.column("rating").as_double(r), error = rating - rows.column("predicted").as_double(r);
    EXPECT_NEAR(rating, ratings.at({std::string(rows.column("user").string(r)), std::string(rows.column("item").string(r))}), 1e-4);
    squares += error * error, absolute += std::abs(error);
  }
  EXPECT_EQ(result("sgd")["rows"], rows.num_rows());
  EXPECT_NEAR(result("sgd")["rmse"].get<double>(), std::sqrt(squares / double(rows.num_rows())), 1e-9);
  EXPECT_NEAR(result("sgd")["mae"].get<double>(), absolute / double(rows.num_rows()), 1e-9);
  // The interval of a mean square: 1.96 standard errors, by the rows.
  double fourth = 0;
  const double n = double(rows.num_rows()), mean_square = squares / n;
  for (int64_t r = 0; r < rows.num_rows(); ++r) fourth += std::pow(rows.column("rating").as_double(r) - rows.column("predicted").as_double(r), 4);
  const double error = std::sqrt((fourth / n - mean_square * mean_square) / n) / (2 * std::sqrt(mean_square));
  EXPECT_NEAR(result("sgd")["interval95"]["rmse"][0].get<double>(), std::sqrt(mean_square) - 1.96 * error, 0.5 * error);
  EXPECT_NEAR(result("sgd")["interval95"]["rmse"][1].get<double>(), std::sqrt(mean_square) + 1.96 * error, 0.5 * error);
}

// The last half step makes items the solution of their least squares: the gradient there is 0, computed by plain sums.
TEST(MatrixFactorization, ItemsSolveTheirLeastSquares) {
  testing::TemporaryFolder folder;
  auto given = planted(50, 20, 0.5);
  given.push_back(given.front());  // an item that is taken twice
  folder.write("e.csv", lines(given));
  const auto run = testing::run_job(job("by: time, fraction: 0", "  als: { op: matrix_factorization, from: parts, rating: rating, factors: 3, regularization: 0.2, epochs: 4, validation: false }\n"
                                                                 "  ials: { op: matrix_factorization, from: parts, factors: 3, regularization: 0.2, alpha: 7, epochs: 4, validation: false }\n"),
                                    folder, "out", {3, 1});
  std::map<std::pair<int, int>, double> times;
  double mean = 0;
  for (const auto& g : given) times[{g.user, g.item}] += 1, mean += std::round(g.rating * 1e4) / 1e4 / double(given.size());
  for (const bool implicit : {false, true}) {
    const char* step = implicit ? "ials" : "als";
    const auto store = factors_of(run, step);
    const auto &users = store.floats("users"), &items = store.floats("items");
    const auto catalogue = data::Vocabulary::load(data::ArrayStore::load(engine::RunDirectory(run.folder).state(step) / "catalogue.h5"), "items");
    // Rows of the output, or of the input by partition, are users in the order of their vectors.
    std::vector<int> user_of;
    const auto parts = run.rows("ials");
    for (int64_t r = 0; r < parts.num_rows(); ++r) user_of.push_back(std::stoi(std::string(parts.column("user").string(r)).substr(1)));
    ASSERT_EQ(users.size(), user_of.size() * 3);
    for (size_t i = 0; i < catalogue.size(); ++i) {
      const int item = std::stoi(catalogue.word(i).substr(1));
      double gradient[3] = {}, size = 0, rows = 0;
      auto add = [&](size_t u, double weight, double target) {
        double product = 0;
        for (size_t f = 0; f < 3; ++f) product += double(users[u * 3 + f]) * double(items[i * 3 + f]);
        for (size_t f = 0; f < 3; ++f) gradient[f] += weight * (product - target) * double(users[u * 3 + f]), size += std::abs(weight * target * double(users[u * 3 + f]));
      };
      for (size_t u = 0; u < user_of.size(); ++u) {
        if (implicit) {
          auto at = times.find({user_of[u], item});
          add(u, 1 + (at == times.end() ? 0 : 7 * at->second), at == times.end() ? 0 : 1);
        } else {
          for (const auto& g : given)
            if (g.user == user_of[u] && g.item == item) add(u, 1, std::round(g.rating * 1e4) / 1e4 - mean), rows += 1;
        }
      }
      for (size_t f = 0; f < 3; ++f) EXPECT_NEAR(gradient[f] + 0.2 * (implicit ? 1 : rows) * double(items[i * 3 + f]), 0, 1e-5 * size) << step << " item " << item;
    }
  }
}

TEST(MatrixFactorization, RanksItemsOfTheUsersKind) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(kinds(120, 48, 9)));
  const auto run = testing::run_job(job("by: last", "  bpr: { op: matrix_factorization, from: parts, method: bpr, factors: 8, epochs: 40, shards: 4, filter_seen: false }\n"
                                                    "  als: { op: matrix_factorization, from: parts, factors: 8, epochs: 10, filter_seen: false }\n"
                                                    "  pop: { op: popular, from: parts, filter_seen: false }\n"),
                                    folder, "out", {2, 1});
  auto hits = [&](const char* step) { return run.steps.at(step).metrics["result"]["hr"]["20"].get<double>(); };
  EXPECT_LT(hits("pop"), 0.6);
  EXPECT_GT(hits("bpr"), 0.85);
  EXPECT_GT(hits("als"), 0.85);
  EXPECT_LT(run.steps.at("bpr").metrics["curve"].back()["loss"].get<double>(), 0.5 * run.steps.at("bpr").metrics["curve"][0]["loss"].get<double>());
}

// Users that were not learned from get vectors by what they took: the kind of most of it is the kind of what they take next.
TEST(MatrixFactorization, RecommendsToNewUsers) {
  testing::TemporaryFolder folder;
  const auto all = kinds(160, 48, 9);
  std::vector<Given> old, others;
  for (const auto& g : all) (g.user < 120 ? old : others).push_back(g);
  others.push_back({999, 4000, 1}), others.push_back({999, 4001, 1});  // who took nothing of the catalogue
  folder.write("e.csv", lines(old)), folder.write("new.csv", lines(others));
  const std::string learn = "  bpr: { op: matrix_factorization, from: parts, method: bpr, factors: 8, epochs: 20, lr: 0.1, filter_seen: false }\n  als: { op: matrix_factorization, from: parts, factors: 8, epochs: 4, filter_seen: false }\n";
  const auto run = testing::run_on_all_rank_counts(job("by: last", learn + "  new: { op: read_events, path: new.csv, partitions: 5, types: { rating: float64 } }\n  newest: { op: split, from: new, by: last }\n"
                                                                           "  to_bpr: { op: recommend, from: [newest, bpr], k: 12 }\n  to_als: { op: recommend, from: [newest, als], k: 12 }\n"), folder);
  for (const char* step : {"to_bpr", "to_als"}) {
    const json result = run.steps.at(step).metrics["result"];
    EXPECT_GT(result["hr"]["20"].get<double>(), 0.8) << step << ", where chance is 0.42";
    EXPECT_THAT(result["protocol"].get<std::string>(), HasSubstr("what is ranked was learned from other rows"));
    const auto rows = run.rows(step);
    ASSERT_EQ(rows.num_rows(), 41);
    int64_t own = 0, others_kinds = 0;
    for (int64_t r = 0; r < rows.num_rows(); ++r) {
      const int user = std::stoi(std::string(rows.column("user").string(r)).substr(1));
      ASSERT_EQ(rows.column("recommended").list_size(r), 12);
      for (int64_t i = 0; i < 12 && user < 160; ++i) (std::stoi(std::string(rows.column("recommended").list_string(r, i)).substr(1)) % 4 == user % 4 ? own : others_kinds) += 1;
    }
    EXPECT_GT(own, 9 * others_kinds) << step;
  }
  const Error error = testing::error_of([&] { testing::run_job(job("by: last", "  als: { op: matrix_factorization, from: parts, rating: rating, factors: 2 }\n  to: { op: recommend, from: [parts, als] }\n"), folder, "rated"); });
  EXPECT_THAT(error.text(), HasSubstr("learns nothing that could be used"));
}

// The vector of a new user solves the system that the items' vectors make, Hu et al. (2008), equation 4.
TEST(MatrixFactorization, NewUsersSolveTheirLeastSquares) {
  const size_t items = 9, H = 3;
  std::vector<float> q(items * H);
  for (size_t i = 0; i < q.size(); ++i) q[i] = float(Random(3, i).normal());
  const op::NewUsers users(q, std::vector<float>(items), {0.2, 7, true}, false, 1, 0.1, 1);
  const std::vector<op::Rating> taken{{2, 1}, {5, 3}};
  std::vector<float> p(H);
  users.find(taken, p.data());
  for (size_t f = 0; f < H; ++f) {
    double gradient = 0.2 * double(p[f]);
    for (size_t i = 0; i < items; ++i) {
      double product = 0, times = i == 2 ? 1 : i == 5 ? 3 : 0;
      for (size_t g = 0; g < H; ++g) product += double(p[g]) * double(q[i * H + g]);
      gradient += (1 + 7 * times) * (product - (times > 0 ? 1 : 0)) * double(q[i * H + f]);
    }
    EXPECT_NEAR(gradient, 0, 1e-4);
  }
  users.find({}, p.data());
  EXPECT_EQ(p, std::vector<float>(H)) << "nothing taken";
}

// With fewer items than shards some blocks stay empty, and each item still meets all others in time.
TEST(MatrixFactorization, LearnsFewItems) {
  testing::TemporaryFolder folder;
  std::vector<Given> given;
  for (int u = 0; u < 60; ++u)
    for (int n = 0; n < 4; ++n) given.push_back({u, u % 2 ? n : n == 3 ? 3 : 4 + n, 1});  // item 3 is everyone's last
  folder.write("e.csv", lines(given));
  const auto run = testing::run_job(job("by: time, fraction: 0", "  m: { op: matrix_factorization, from: parts, method: bpr, factors: 4, epochs: 60, lr: 0.1, filter_seen: false, k: 4, validation: false }\n"), folder, "out");
  const json curve = run.steps.at("m").metrics["curve"];
  EXPECT_GT(curve[0]["loss"].get<double>(), 0.3);
  EXPECT_LT(curve.back()["loss"].get<double>(), 0.5 * curve[0]["loss"].get<double>());
  const auto rows = run.rows("m");
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    const bool odd = std::stoi(std::string(rows.column("user").string(r)).substr(1)) % 2;
    std::set<std::string> best;
    for (int64_t i = 0; i < 4; ++i) best.insert(std::string(rows.column("recommended").list_string(r, i)));
    EXPECT_EQ(best, odd ? (std::set<std::string>{"i0", "i1", "i2", "i3"}) : (std::set<std::string>{"i3", "i4", "i5", "i6"}));
  }
}

TEST(MatrixFactorization, StopsAndGoesOnOnOtherRankCounts) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(planted(60, 25, 0.4)));
  for (const char* how : {"rating: rating, method: sgd", "method: bpr", "method: als"}) {
    const std::string yaml = job("by: row", fmt::format("  m: {{ op: matrix_factorization, from: parts, factors: 4, epochs: 6, checkpoint_every: 2, {} }}\n", how));
    const std::string whole_out = fmt::format("whole {}", how), cut_out = fmt::format("cut {}", how);
    const auto whole = testing::run_job(yaml, folder, whole_out, {2, 1});
    testing::run_until(yaml, folder, cut_out, "epoch 3", {.ranks = 3});
    const auto resumed = testing::run_job(yaml, folder, cut_out, {.ranks = 5, .threads = 2, .resume = true});
    EXPECT_EQ(whole.steps.at("m").content_hash, resumed.steps.at("m").content_hash) << how;
    EXPECT_EQ(whole.steps.at("m").metrics, resumed.steps.at("m").metrics) << how;
    EXPECT_FALSE(std::filesystem::exists(engine::RunDirectory(resumed.folder).state("m") / "checkpoint.h5"));
  }
}

// What is held out, or set aside, is not learned from; what was never seen has the mean.
TEST(MatrixFactorization, HeldOutRatingsDoNotReachTheVectors) {
  testing::TemporaryFolder folder;
  auto given = planted(40, 20, 0.5);
  given.push_back({0, 999, 5}), given.push_back({1, 3, 4.5});
  folder.write("e.csv", lines(given));
  const std::string yaml = job("by: last", "  m: { op: matrix_factorization, from: parts, rating: rating, method: sgd, factors: 4, epochs: 3 }\n");
  const auto before = testing::run_job(yaml, folder, "before");
  given[given.size() - 1].rating = -100;
  folder.write("e.csv", lines(given));
  const auto after = testing::run_job(yaml, folder, "after");
  EXPECT_EQ(factors_of(before, "m").content_hash(), factors_of(after, "m").content_hash());
  EXPECT_GT(after.steps.at("m").metrics["result"]["rmse"].get<double>(), 10);
  const json result = before.steps.at("m").metrics["result"];
  const auto catalogue = data::Vocabulary::load(data::ArrayStore::load(engine::RunDirectory(before.folder).state("m") / "catalogue.h5"), "items");
  const auto store = factors_of(before, "m");
  const auto rows = before.rows("m");
  int64_t unknown = 0;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    if (catalogue.find(rows.column("item").string(r)) >= 0) continue;
    ++unknown;
    EXPECT_NEAR(rows.column("predicted").as_double(r), store.doubles("mean").at(0) + double(store.floats("user_bias")[size_t(r)]), 1e-6);
  }
  EXPECT_GT(unknown, 0);
  EXPECT_EQ(result["items_not_in_catalogue"], unknown);
}

TEST(MatrixFactorization, ParametersMatter) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(planted(40, 20, 0.5)));
  auto hash = [&](const std::string& more) {
    const auto run = testing::run_job(job("by: row", "  m: { op: matrix_factorization, from: parts, " + more + " }\n"), folder, "out");
    return factors_of(run, "m").content_hash() + run.steps.at("m").content_hash + run.steps.at("m").metrics["result"].dump();
  };
  for (const std::string usual : {"factors: 4, epochs: 2, rating: rating, method: sgd", "factors: 4, epochs: 2, rating: rating, method: als", "factors: 4, epochs: 2, method: als", "factors: 4, epochs: 2, method: bpr"}) {
    const std::string first = hash(usual);
    for (const char* more : {"regularization: 0.5", "validation: false", "min_count: 16", "bootstrap: 20"}) EXPECT_NE(hash(usual + ", " + more), first) << usual << " " << more;
    const bool als = usual.find("als") != std::string::npos, rated = usual.find("rating") != std::string::npos;
    if (!als) {
      EXPECT_NE(hash(usual + ", lr: 0.3"), first) << usual;
      EXPECT_NE(hash(usual + ", shards: 2"), first) << usual;
    }
    if (als && !rated) {
      EXPECT_NE(hash(usual + ", alpha: 3"), first);
    }
    if (!rated) {
      for (const char* more : {"filter_seen: false", "rank_against: 3", "k: 2"}) EXPECT_NE(hash(usual + ", " + more), first) << usual << " " << more;
    }
  }
  EXPECT_NE(hash("factors: 4, epochs: 2"), hash("factors: 5, epochs: 2"));
  EXPECT_NE(hash("factors: 4, epochs: 2, validation: false"), hash("factors: 4, epochs: 3, validation: false"));
}

TEST(MatrixFactorization, BadParametersAndDataAreErrors) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(planted(20, 10, 0.5)));
  auto error = [&](const std::string& more) { return testing::error_of([&] { testing::run_job(job("by: row", "  m: { op: matrix_factorization, from: parts" + more + " }\n"), folder, "out"); }); };
  for (const char* more : {", method: sgd", ", method: bpr, rating: rating", ", rating: item, method: als", ", rating: stars", ", shards: 6", ", rating: rating, rank_against: 5", ", method: svd"}) EXPECT_EQ(error(more).fault(), Fault::kJob) << more;
  EXPECT_THAT(testing::error_of([&] { testing::run_job(job("by: row", "  m: { op: matrix_factorization, from: parts, shards: 2 }\n"), folder, "out", {3}); }).text(), HasSubstr("fewer than the 3 ranks"));
  folder.write("e.csv", lines({{0, 1, 3}, {0, 2, 4}, {1, 1, 2}, {1, 2, 5}}));
  for (const char* how : {", rating: rating", ", method: bpr"}) EXPECT_THAT(error(how).text(), HasSubstr("switch 'validation' off")) << "nobody has three ratings";
  folder.write("e.csv", lines(planted(20, 10, 0.5)));
  EXPECT_THAT(error(", method: sgd, rating: rating, lr: 1000").text(), HasSubstr("lower 'lr'"));
  EXPECT_THAT(error(", rating: rating, regularization: 0, factors: 40").text(), HasSubstr("raise 'regularization'"));
}

}  // namespace
}  // namespace throng
