// Parameters of every kind, from a tree of values and back, and all faults together.
#include "framework/graph/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/graph/job.h"

namespace throng::graph {
namespace {
using ::testing::HasSubstr;

struct Everything {
  std::string text = "plain";
  std::string choice = "one";
  bool flag = true;
  int whole = 3;
  int64_t large = -5;
  uint64_t seed = 1;
  double number = 0.5;
  Duration window{3'600'000'000};
  std::optional<int> maybe;
  std::vector<std::string> names{"a", "b"};
  std::vector<int> sizes;
  NameMap map{{"k", "v"}};
  NumberMap factors;
  std::string must;

  static constexpr auto kOp = "everything";
  static auto fields() {
    return graph::fields(field("text", &Everything::text, "a text"), field("choice", &Everything::choice, "a choice").one_of({"one", "two"}),
                         field("flag", &Everything::flag, "a flag"), field("whole", &Everything::whole, "a whole number").min(1).max(10),
                         field("large", &Everything::large, "a large one"), field("seed", &Everything::seed, "a seed"),
                         field("number", &Everything::number, "a number").min(0), field("window", &Everything::window, "a duration"),
                         field("maybe", &Everything::maybe, "or nothing"), field("names", &Everything::names, "names").one_of({"a", "b", "c"}),
                         field("sizes", &Everything::sizes, "sizes"), field("map", &Everything::map, "a mapping"), field("factors", &Everything::factors, "numbers by name"),
                         field("must", &Everything::must, "must be there").required());
  }
};

Value list(const std::vector<std::string>& items) {
  Value v;
  v.kind = Value::Kind::kList;
  for (const auto& i : items) v.list.push_back(Value::of(i));
  return v;
}
Value map_of(const std::vector<std::pair<std::string, Value>>& entries) {
  Value v;
  v.kind = Value::Kind::kMap;
  for (const auto& [k, x] : entries) v.map.push_back({k, {}, x});
  return v;
}
std::string faults_of(const Value& v) {
  Faults faults;
  read_params<Everything>(v, {"job.yaml", 9, 1}, faults);
  try {
    faults.throw_if_any();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
    return e.message();
  }
  return "";
}

TEST(Params, EveryKindIsReadAndWrittenBack) {
  Value given = map_of({{"text", Value::of("other")}, {"choice", Value::of("two")}, {"flag", Value::of("false")}, {"whole", Value::of("10")},
                        {"large", Value::of("-9223372036854775808")}, {"seed", Value::of("18446744073709551615")}, {"number", Value::of("1e-3")},
                        {"window", Value::of("90m")}, {"maybe", Value::of("7")}, {"names", Value::of("c")}, {"sizes", list({"1", "2"})},
                        {"map", map_of({{"x", Value::of("1")}, {"y", Value::of("")}})}, {"factors", map_of({{"b", Value::of("0.25")}, {"a", Value::of("-3")}})}, {"must", Value::of("")}});
  Faults faults;
  Everything p = read_params<Everything>(given, {}, faults);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(p.text, "other");
  EXPECT_FALSE(p.flag);
  EXPECT_EQ(p.large, INT64_MIN);
  EXPECT_EQ(p.seed, UINT64_MAX);
  EXPECT_EQ(p.number, 0.001);
  EXPECT_EQ(p.window.microseconds, 5'400'000'000);
  EXPECT_EQ(p.maybe, 7);
  EXPECT_EQ(p.names, std::vector<std::string>{"c"});  // one bare value is a list of one
  EXPECT_EQ(p.sizes, (std::vector<int>{1, 2}));
  EXPECT_EQ(p.map, (NameMap{{"x", "1"}, {"y", ""}}));
  EXPECT_EQ(p.factors, (NumberMap{{"b", 0.25}, {"a", -3}}));
  Everything again = read_params<Everything>(write_params(p), {}, faults);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(write_params(again).canonical(), write_params(p).canonical());
  EXPECT_NE(write_params(Everything{}).canonical(), write_params(p).canonical());
}

TEST(Params, DefaultsStandWhereNothingIsGiven) {
  Faults faults;
  Everything p = read_params<Everything>(map_of({{"must", Value::of("x")}, {"maybe", Value{}}, {"names", Value{}}}), {}, faults);
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(p.whole, 3);
  EXPECT_FALSE(p.maybe);
  EXPECT_TRUE(p.names.empty());  // null is an empty list
}

TEST(Params, EveryFaultIsReported) {
  Value bad = map_of({{"text", list({"a"})}, {"choice", Value::of("too")}, {"flag", Value::of("yes")}, {"whole", Value::of("11")}, {"large", Value::of("1.5")},
                      {"seed", Value::of("-1")}, {"number", Value::of("-0.5")}, {"window", Value::of("1 moon")}, {"maybe", Value::of("x")},
                      {"names", list({"a", "d"})}, {"sizes", list({"1", "two"})}, {"map", Value::of("x")}, {"txet", Value::of("x")}});
  for (auto& e : bad.map) e.key_place = e.value.place = {"job.yaml", 1 + int(&e - bad.map.data()), 5};
  std::string all = faults_of(bad);
  for (const char* expected :
       {"job.yaml:1:5: 'text' is a list; expected text", "job.yaml:2:5: 'choice' is 'too'", "did you mean 'two'?", "'flag' is 'yes'; expected true or false",
        "'whole' is 11; expected 1 to 10", "'large' is '1.5'; expected whole number", "'seed' is '-1'", "'number' is -0.5; expected at least 0",
        "'window' is '1 moon'; expected a duration", "'maybe' is 'x'", "'names' is 'd'", "'sizes' is a list; expected a list of whole number",
        "'map' is 'x'; expected a mapping", "job.yaml:13:5: unknown parameter of op 'everything': 'txet'", "did you mean 'text'?",
        "job.yaml:9:1: op 'everything' needs the parameter 'must'"})
    EXPECT_THAT(all, HasSubstr(expected));
  EXPECT_LT(all.find("job.yaml:2:5"), all.find("job.yaml:13:5")) << "faults come in file order";
  for (const char* number : {"nan", "inf", "1e999", "", "5 ", "0x10", "1,5"})
    EXPECT_THAT(faults_of(map_of({{"must", Value::of("")}, {"number", Value::of(number)}})), HasSubstr("'number' is")) << number;
  EXPECT_THAT(faults_of(map_of({{"must", Value::of("")}, {"factors", map_of({{"a", Value::of("1")}, {"b", Value::of("much")}})}})), HasSubstr("expected a number for 'b'"));
  EXPECT_THAT(faults_of(map_of({{"must", Value::of("")}, {"factors", Value::of("0.5")}})), HasSubstr("'factors' is '0.5'; expected a mapping such as {name: 0.1}"));
  EXPECT_THAT(faults_of(map_of({{"must", Value::of("")}, {"whole", Value::of("99999999999")}})), HasSubstr("'whole' is"));
}

TEST(Params, CanonicalTextsTellValuesApart) {
  auto text = [](const Value& v) { return v.canonical(); };
  EXPECT_NE(text(list({"a", "b"})), text(list({"a,1:b"})));
  EXPECT_NE(text(list({"a"})), text(Value::of("a")));
  EXPECT_NE(text(Value{}), text(Value::of("")));
  EXPECT_NE(text(map_of({{"a", Value::of("b")}})), text(map_of({{"a=1:b", Value::of("")}})));
  EXPECT_NE(text(list({})), text(map_of({})));
}

TEST(Params, FieldsDescribeThemselves) {
  auto infos = field_infos<Everything>();
  ASSERT_EQ(infos.size(), 14u);
  EXPECT_EQ(infos[7].type, "duration");
  EXPECT_EQ(infos[7].default_text, "1h");
  EXPECT_EQ(infos[9].default_text, "[a, b]");
  EXPECT_EQ(infos[11].default_text, "{k: v}");
  EXPECT_EQ(infos[8].default_text, "none");
  EXPECT_TRUE(infos[13].required);
  for (const auto& name : registry().names()) EXPECT_FALSE(registry().find(name)->summary.empty()) << name;
}

}  // namespace
}  // namespace throng::graph
