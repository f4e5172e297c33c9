// Made-up posts and actions with planted truth, for trying things out and for tests that check what a job recovers.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace throng::cli {

struct BehaviourOptions {
  int64_t users = 1000, events = 100'000;
  uint64_t seed = 1;
  int days = 30;
};

/// Streams events in time order to `write`, one JSON line each (user, item, ts, action, text, value), and returns the planted
/// truth as JSON: topics and their words, the communities, the burst, and the pattern of next actions.
///
/// Users and items follow Zipf's law; user n belongs to community n mod 4, which prefers two of the eight topics. A post
/// (action `post`) has words of one topic, English or Chinese. The word of the burst appears on one day only. After two
/// `view` in a row comes `like` (0.9), which the last action alone does not tell.
std::string generate_behaviour(const BehaviourOptions& options, const std::function<void(const std::string&)>& write);

}  // namespace throng::cli
