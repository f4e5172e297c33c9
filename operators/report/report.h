// operators/report: what the run found, counted for the report page.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Counts what report.html shows. The first input is the events; the others may be steps of topics, trends, train_sequence and
/// word2vec, known by their operator. Writes report.json into its step folder: series, tables, example posts and the five
/// sentences. Has one row: the sentences. The page itself is made from it at the end of a run.
struct Report {
  std::string title;
  std::string language = "en";
  std::string user = "user";
  std::string action = "action";
  std::string item = "item";
  std::string text = "text";
  int posts = 3;

  static constexpr auto kOp = "report";
  static constexpr auto kSummary = "counts what the report page shows, and says it in five sentences";
  static constexpr size_t kMinInputs = 1, kMaxInputs = 16;
  static auto fields() {
    return graph::fields(graph::field("title", &Report::title, "heading of the page; empty: the job's name"),
                         graph::field("language", &Report::language, "labels and sentences in English or Chinese").one_of({"en", "zh"}),
                         graph::field("user", &Report::user, "column that says who acts"),
                         graph::field("action", &Report::action, "column that says what is done"),
                         graph::field("item", &Report::item, "column that says on what; shown of events without text, and searched for risers"),
                         graph::field("text", &Report::text, "column with what was written; example posts come from it"),
                         graph::field("posts", &Report::posts, "example posts for each sentence").min(0).max(20));
  }
};

}  // namespace throng::op
