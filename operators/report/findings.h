// The parts of the report: each is counted on all ranks and comes back as JSON on rank 0. Internal to report.
#pragma once
#include <nlohmann/json.hpp>

#include "framework/data/time.h"
#include "framework/graph/operator.h"
#include "operators/report/report.h"

namespace throng::op {

/// Collective. Activity over time, hour of the week, action mix, transitions, events per user, from the events (input 0).
nlohmann::json find_people(graph::CollectiveContext& context, const Report& params, const data::TimeZone& zone);
/// Collective. Topics with words, share over time and example posts, from input `input` of op topics.
nlohmann::json find_topics(graph::CollectiveContext& context, size_t input, const Report& params, const data::TimeZone& zone);
/// Collective. Top risers, their series and example posts; `events` are searched for posts.
nlohmann::json find_trends(graph::CollectiveContext& context, size_t input, const Report& params, const data::TimeZone& zone);
/// Rank 0 (others get null). Neighbours of frequent words and a map of the embedding, from an input of op word2vec.
nlohmann::json find_words(graph::CollectiveContext& context, size_t input, const std::vector<std::string>& wanted);
/// Rank 0. What train_sequence reported.
nlohmann::json find_next(graph::CollectiveContext& context, size_t input);
/// Rank 0. Rows read and dropped and why, for the steps that the report's events came through.
nlohmann::json find_quality(graph::CollectiveContext& context);
/// Rank 0. The first rows that read_events put aside, with file, line and reason.
nlohmann::json find_bad_rows(graph::CollectiveContext& context, const Report& params);

/// The five sentences: {text, chart, posts} each; chart is the id of the part of the page that shows it.
nlohmann::json say(const nlohmann::json& findings, const Report& params);

/// Width of time buckets that makes at most about 120 of them, in microseconds.
int64_t bucket_width(int64_t first, int64_t last);
/// strftime format for the start of such a bucket: a date alone where buckets are whole days.
std::string bucket_format(int64_t width);

}  // namespace throng::op
