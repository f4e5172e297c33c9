// Items that are drawn to compare with come as often as they should.
#include "operators/next_item/negative_draw.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/comm/threads_backend.h"

namespace throng::op {
namespace {

TEST(NegativeDraw, ComesByCountToAPower) {
  comm::run_on_threads(1, [](comm::Communicator& comm) {
    data::TextMap<data::ValueCount> counts;
    for (const auto& [item, count] : {std::pair("a", 400), {"b", 100}, {"c", 25}, {"d", 1}}) counts[item].count = count;
    const auto catalogue = data::Vocabulary::build(comm, counts, 1, 0);
    for (const double alpha : {0.0, 0.5, 1.0}) {
      const NegativeDraw draw(catalogue, alpha);
      double sum = 0;
      for (size_t i = 0; i < 4; ++i) sum += std::pow(double(catalogue.count(i)), alpha);
      std::vector<int> drawn(4);
      constexpr int kTimes = 200'000;
      Random random(5, 6);
      for (int k = 0; k < kTimes; ++k) ++drawn.at(size_t(draw(random)));
      for (size_t i = 0; i < 4; ++i) {
        const double expected = std::pow(double(catalogue.count(i)), alpha) / sum;
        EXPECT_NEAR(double(drawn[i]) / kTimes, expected, 4 * std::sqrt(expected / kTimes)) << catalogue.word(i) << " with " << alpha;
        if (alpha > 0) {
          EXPECT_NEAR(draw.log_q().at(i), std::log(expected), 1e-5);
        }
      }
      EXPECT_EQ(draw.log_q().empty(), alpha == 0);
    }
  });
}

}  // namespace
}  // namespace throng::op
