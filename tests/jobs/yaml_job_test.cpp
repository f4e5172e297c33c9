// Job files: places of faults, overrides, and the same graph from YAML and C++.
#include "jobs/spec/yaml_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operators/derive/derive.h"
#include "operators/filter/filter.h"
#include "operators/read_events/read_events.h"
#include "operators/select/select.h"
#include "operators/tokenize/tokenize.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

std::string faults_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  graph::Faults faults;
  try {
    graph::Job job = spec::parse_job(text, "job.yaml", overrides, faults);
    graph::build_graph(job, faults);
    faults.throw_if_any();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
    return e.text();
  }
  return "";
}
std::string canonical(const std::string& text, const std::vector<std::string>& overrides = {}) {
  graph::Faults faults;
  graph::Job job = spec::parse_job(text, "job.yaml", overrides, faults);
  std::string out = graph::build_graph(job, faults).canonical();
  faults.throw_if_any();
  return out;
}

TEST(YamlJob, FiveFaultsGiveFiveMessagesWithTheirPlaces) {
  std::string all = faults_of(R"(job: faulty
seed: minus one
steps:
  events: { op: read_events, path: e.jsonl, formt: csv }
  clean:  { op: filtre, from: events }
  tokens: { op: tokenize, from: evnts, ngrams: 9 }
sav: { tokens: out }
)");
  for (const char* expected : {"job.yaml:2:7: 'seed' is 'minus one'; expected whole number",
                               "job.yaml:4:45: unknown parameter of op 'read_events': 'formt'\n  hint: did you mean 'format'?",
                               "job.yaml:5:17: unknown op 'filtre' of step 'clean'\n  hint: did you mean 'filter'?",
                               "job.yaml:6:33: step 'tokens' reads from 'evnts', which is no step\n  hint: did you mean 'events'?",
                               "job.yaml:6:48: 'ngrams' is 9; expected 1 to 5", "job.yaml:7:1: unknown key 'sav'\n  hint: did you mean 'save'?"})
    EXPECT_THAT(all, HasSubstr(expected));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 9) << all;
}

TEST(YamlJob, FaultsOfForm) {
  const std::string events = "  e: { op: read_events, path: x }\n";
  EXPECT_THAT(faults_of("job: j\nsteps:\n  e: { op: [\n"), HasSubstr("job.yaml:4:1: not valid YAML"));
  EXPECT_THAT(faults_of("- a\n"), HasSubstr("a job file is a mapping"));
  EXPECT_THAT(faults_of(""), HasSubstr("a job file is a mapping"));
  EXPECT_THAT(faults_of("job: j\n"), HasSubstr("the job has no 'steps:'"));
  EXPECT_THAT(faults_of("job: j\nsteps: {}\n"), HasSubstr("the job has no steps"));
  EXPECT_THAT(faults_of("steps:\n  e: read_events\n"), HasSubstr("job.yaml:2:6: step 'e' is not a mapping"));
  EXPECT_THAT(faults_of("steps:\n  e: { path: x }\n"), HasSubstr("job.yaml:2:3: step 'e' has no 'op:'"));
  EXPECT_THAT(faults_of("steps:\n" + events + "  e: { op: read_events, path: x }\n"), HasSubstr("job.yaml:3:3: 'e' is given twice"));
  EXPECT_THAT(faults_of("steps:\n" + events + "  f: { op: filter, where: a }\n"), HasSubstr("step 'f' has 0 inputs; op 'filter' takes 1"));
  EXPECT_THAT(faults_of("steps:\n" + events + "  f: { op: filter, from: [e, e], where: a }\n"), HasSubstr("step 'f' has 2 inputs"));
  EXPECT_THAT(faults_of("steps:\n" + events + "  f: { op: filter, from: }\n"), HasSubstr("'from' of step 'f' names no step"));
  EXPECT_THAT(faults_of("steps:\n" + events + "  f: { op: filter, from: e }\n"), HasSubstr("op 'filter' needs the parameter 'where'"));
  EXPECT_THAT(faults_of("steps:\n  a: { op: filter, from: b, where: x }\n  b: { op: filter, from: a, where: x }\n"), HasSubstr("in a circle: a, b"));
  EXPECT_THAT(faults_of("steps:\n" + events + "save: { f: out }\n"), HasSubstr("job.yaml:3:9: 'save' names 'f', which is no step"));
  EXPECT_THAT(faults_of("steps:\n  \"a/b\": { op: read_events, path: x }\n"), HasSubstr("step name 'a/b' may hold"));
}

TEST(YamlJob, OverridesReplaceAddAndComplain) {
  const std::string text = "job: j\nsteps:\n  e: { op: read_events, path: x }\n  t: { op: tokenize, from: e, ngrams: 2 }\n";
  auto same_as = [&](const std::string& override, const std::string& instead) { EXPECT_EQ(canonical(text, {override}), canonical(instead)) << override; };
  same_as("t.ngrams=3", "job: j\nsteps:\n  e: { op: read_events, path: x }\n  t: { op: tokenize, from: e, ngrams: 3 }\n");
  same_as("t.lowercase=false", text.substr(0, text.size() - 3) + ", lowercase: false }\n");
  same_as("t.dictionary=[a, b]", text.substr(0, text.size() - 3) + ", dictionary: [a, b] }\n");
  same_as("e.map={user: u.id}", "job: j\nsteps:\n  e: { op: read_events, path: x, map: {user: u.id} }\n  t: { op: tokenize, from: e, ngrams: 2 }\n");
  same_as("e.path=a=b.c", "job: j\nsteps:\n  e: { op: read_events, path: a=b.c }\n  t: { op: tokenize, from: e, ngrams: 2 }\n");
  same_as("seed=7", "seed: 7\n" + text);
  EXPECT_THAT(faults_of(text, {"t.ngrams=many"}), HasSubstr("--set t.ngrams=many: 'ngrams' is 'many'; expected whole number"));
  EXPECT_THAT(faults_of(text, {"t.ngrms=2"}), HasSubstr("did you mean 'ngrams'?"));
  EXPECT_THAT(faults_of(text, {"x.ngrams=2"}), HasSubstr("no step 'x'"));
  EXPECT_THAT(faults_of(text, {"ngrams=2"}), HasSubstr("no step 'ngrams'"));
  EXPECT_THAT(faults_of(text, {"t.ngrams"}), HasSubstr("expected step.param=value"));
  EXPECT_THAT(faults_of(text, {"t.dictionary=[a"}), HasSubstr("--set t.dictionary=[a"));
}

TEST(YamlJob, YamlAndCppGiveTheSameGraph) {
  graph::Job job("both");
  job.seed = 5;
  auto events = job.step("events", op::ReadEvents{.path = {"a.csv", "b.csv"}, .map = {{"user", "who"}}, .null_values = {"", "NA"}, .partitions = 9});
  auto some = job.step("some", op::Filter{.where = "value > 1.5"}, events);
  auto more = job.step("more", op::Derive{.columns = {{"v2", "value * 2"}, {"day", "date_trunc('day', ts)"}}}, some);
  auto tokens = job.step("tokens", op::Tokenize{.language = "zh", .lowercase = false, .ngrams = 2}, more);
  job.step("out", op::Select{.columns = {"user", "tokens"}, .as = {{"n", "length(tokens)"}}}, tokens);
  job.save["out"] = "results";
  graph::Faults faults;
  std::string from_cpp = graph::build_graph(job, faults).canonical();
  faults.throw_if_any();
  EXPECT_EQ(from_cpp, canonical(R"yaml(
job: both
seed: 5
save: { out: results }
steps:
  out:    { op: select, from: tokens, columns: [user, tokens], as: { n: length(tokens) } }
  events:
    op: read_events
    path: [a.csv, b.csv]
    map: { user: who }
    null_values: ["", NA]
    partitions: 9
  some:   { op: filter, from: events, where: value > 1.5 }
  more:   { op: derive, from: some, columns: { v2: value * 2, day: "date_trunc('day', ts)" } }
  tokens: { op: tokenize, from: more, language: zh, lowercase: false, ngrams: 2 }
)yaml"));
}

TEST(YamlJob, FilesThatAreNoneAreJobErrors) {
  testing::TemporaryFolder folder;
  graph::Faults faults;
  for (const auto& path : {(folder / "none.yaml").string(), folder.path().string()}) {
    try {
      spec::read_job(path, {}, faults);
      FAIL() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob);
    }
  }
}

}  // namespace
}  // namespace throng
