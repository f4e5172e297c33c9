// The parts of the report: each is counted on all ranks and comes back as JSON on rank 0. Internal to report.
#pragma once
#include <nlohmann/json.hpp>

#include "framework/data/time.h"
#include "framework/graph/operator.h"
#include "operators/report/report.h"

namespace throng::op {

/// Collective. Activity over time, hour of the week, action mix, transitions, events per user, from the events (input 0).
nlohmann::json find_people(graph::CollectiveContext& context, const Report& params, const data::TimeZone& zone);
/// Collective. The first events of action `action`, as posts on rank 0.
nlohmann::json find_action_posts(graph::CollectiveContext& context, const std::string& action, const Report& params, const data::TimeZone& zone);
/// Collective. Topics with words, share over time and example posts, from input `input` of op topics.
nlohmann::json find_topics(graph::CollectiveContext& context, size_t input, const Report& params, const data::TimeZone& zone);
/// Collective. Top risers, their series and example posts; `events` are searched for posts.
nlohmann::json find_trends(graph::CollectiveContext& context, size_t input, const Report& params, const data::TimeZone& zone);
/// Rank 0 (others get null). Neighbours of frequent words and a map of the embedding, from an input of op word2vec.
nlohmann::json find_words(graph::CollectiveContext& context, size_t input, const std::vector<std::string>& wanted);
/// Rank 0. What train_sequence reported.
nlohmann::json find_next(graph::CollectiveContext& context, size_t input, const Report& params);
/// Rank 0. Rows read and dropped and why, for the steps that the report's events came through.
nlohmann::json find_quality(graph::CollectiveContext& context);
/// Rank 0. The first rows that were dropped, of what `find_quality` found, with step and reason.
nlohmann::json find_bad_rows(const nlohmann::json& quality, const Report& params);

/// The five sentences: {text, chart, posts} each; chart is the id of the part of the page that shows it.
nlohmann::json say(const nlohmann::json& findings, const Report& params);

/// A row as the page shows it: what was written, or else what was done on what; time and user.
nlohmann::json post_of(const data::Batch& batch, int64_t row, const Report& params, const data::TimeZone& zone);
/// Width of time buckets that makes at most about 120 of them, in microseconds.
int64_t bucket_width(int64_t first, int64_t last);
/// strftime format for the start of such a bucket: a date alone where buckets are whole days.
std::string bucket_format(int64_t width);

}  // namespace throng::op
