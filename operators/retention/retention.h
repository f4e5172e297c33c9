// operators/retention: who comes back.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Groups users into cohorts by the period of their first event (that fulfils `start`), and counts how many are active (have an event that
/// fulfils `active`) in each later period. One row for each cohort and `period` (0 is the cohort's own): `cohort`, `cohort_users`, `period`,
/// `users`, `share`. Only events from the `start` event on count. Periods that end after the data's last event are counted as they are; give
/// a period that divides the day, or whole days, since others begin anew at midnight. Ascending by cohort, period.
struct Retention {
  std::string by = "user";
  std::string ts = "ts";
  Duration period{7LL * 86'400'000'000};
  std::string start = "true";
  std::string active = "true";
  int64_t periods = 0;

  static constexpr auto kOp = "retention";
  static constexpr auto kSummary = "cohorts of users by first event, and how many come back in each later period";
  static auto fields() {
    return graph::fields(graph::field("by", &Retention::by, "column that names the users"), graph::field("ts", &Retention::ts, "time column"),
                         graph::field("period", &Retention::period, "length of a period; whole days begin at midnight of ts's time zone"),
                         graph::field("start", &Retention::start, "condition of the event that puts a user in a cohort"),
                         graph::field("active", &Retention::active, "condition of the events that count as coming back"),
                         graph::field("periods", &Retention::periods, "list so many periods after the cohort's own; 0: all").min(0));
  }
};

}  // namespace throng::op
