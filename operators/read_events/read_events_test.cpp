// Reading CSV, TSV and JSONL: the same rows however the files are cut, and exact places for what is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/data/text_input.h"
#include "framework/data/time.h"
#include "tests/support/every_type.h"

namespace throng {
namespace {
using ::testing::HasSubstr;
using testing::JobRun;
using testing::TemporaryFolder;

JobRun read(const TemporaryFolder& folder, const std::string& params, const testing::JobSettings& settings = {}) {
  static int number = 0;
  return testing::run_job("job: j\nsteps:\n  e: { op: read_events, " + params + " }\n", folder, "run" + std::to_string(++number), settings);
}
data::Batch rows(const TemporaryFolder& folder, const std::string& params) { return read(folder, params).rows("e"); }

Error error_of(const TemporaryFolder& folder, const std::string& params, int ranks = 1) {
  try {
    read(folder, params, {ranks});
  } catch (const Error& e) {
    return e;
  }
  return Error(Fault::kBug, "{" + params + "} was accepted");
}

std::string packed(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  data::TextOutput out(folder / name);
  out.write(text);
  out.close();
  return name;
}

// Records whose text holds quotes, delimiters and line breaks, some longer than the granule of cuts.
std::string quoted_csv(int n, const char* line_break) {
  std::string text = fmt::format("ts,text,value{}", line_break);
  for (int i = 0; i < n; ++i) {
    std::string body = i % 5 == 0 ? fmt::format("plain {}", i)
                       : i % 5 == 1 ? fmt::format("\"a, \"\"b\"\"\nline {}\n,\"", i)
                       : i % 5 == 2 ? "\"\""
                       : i % 5 == 3 ? "\"" + std::string(size_t(i % 97) * 3, '\n') + "\""
                                    : "\"" + std::string(i % 50 == 4 ? 9000 : 10, 'x') + "\"\"\n\"";
    text += fmt::format("{},{},{}{}", 1700000000 + i, body, i, line_break);
  }
  return text;
}

TEST(ReadEvents, QuotedLineBreaksSurviveAnyCut) {
  for (const char* line_break : {"\n", "\r\n"}) {
    TemporaryFolder folder;
    const int n = 1200;
    std::string text = quoted_csv(n, line_break);
    folder.write("e.csv", text);
    packed(folder, "e.csv.gz", text);
    data::Batch whole = rows(folder, "path: e.csv, partitions: 1");
    ASSERT_EQ(whole.num_rows(), n);
    EXPECT_EQ(whole.column("text").string(1), "a, \"b\"\nline 1\n,");
    EXPECT_FALSE(whole.column("text").is_valid(2));
    for (int64_t r = 0; r < n; ++r) ASSERT_EQ(whole.column("value").as_double(r), double(r));
    for (int partitions : {2, 3, 7, 16, 64, 10000})
      for (const char* file : {"e.csv", "e.csv.gz"})
        EXPECT_TRUE(testing::same(rows(folder, fmt::format("path: {}, partitions: {}", file, partitions)), whole)) << partitions << " partitions of " << file;
    auto cut = read(folder, "path: e.csv, partitions: 64", {3, 2});
    EXPECT_GT(data::DatasetReader(cut.folder / "steps/e/data").num_partitions(), 8);
    EXPECT_TRUE(testing::same(cut.rows("e"), whole));
  }
}

TEST(ReadEvents, JsonLinesSurviveAnyCut) {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += fmt::format("{{\"ts\":{},\"text\":\"{}\"}}\n", 1700000000 + i, std::string(size_t(i % 40), 'q'));
  for (bool last_break : {true, false}) {
    if (!last_break) text.pop_back();
    folder.write("e.jsonl", text);
    packed(folder, "e.jsonl.zst", text);
    data::Batch whole = rows(folder, "path: e.jsonl, partitions: 1");
    ASSERT_EQ(whole.num_rows(), 3000);
    for (int partitions : {2, 5, 33})
      for (const char* file : {"e.jsonl", "e.jsonl.zst"}) {
        JobRun run = read(folder, fmt::format("path: {}, partitions: {}", file, partitions), {2, 2});
        EXPECT_TRUE(testing::same(run.rows("e"), whole)) << partitions << " of " << file;
      }
  }
}

TEST(ReadEvents, ByteOrderMarkTabsAndHeaderlessFiles) {
  TemporaryFolder folder;
  folder.write("bom.csv", "\xEF\xBB\xBFts,text\r\n2024-05-01,a\r\n\r\n2024-05-02,\"b\"\r\n");
  data::Batch b = rows(folder, "path: bom.csv");
  EXPECT_EQ(b.schema().names(), (std::vector<std::string>{"ts", "text"}));
  EXPECT_EQ(b.num_rows(), 2);
  EXPECT_EQ(b.column("text").string(1), "b");
  folder.write("e.tsv", "ts\ttext\n2024-05-01\tsay \"hi\n2024-05-02\t\"x\"\n");  // quotes mean nothing in TSV
  b = rows(folder, "path: e.tsv");
  ASSERT_EQ(b.num_rows(), 2);
  EXPECT_EQ(b.column("text").string(0), "say \"hi");
  EXPECT_EQ(b.column("text").string(1), "\"x\"");
  folder.write("bare", "u1;2024-05-01;3\nu2;2024-05-02;\n");
  b = rows(folder, "path: bare, format: csv, delimiter: \";\", columns: [user, ts, rating]");
  ASSERT_EQ(b.num_rows(), 2);
  EXPECT_EQ(b.column("rating").type(), data::Type::kInt64);
  EXPECT_FALSE(b.column("rating").is_valid(1));
  folder.write("bom.jsonl", "\xEF\xBB\xBF{\"ts\":1}\n{\"ts\":2}");
  EXPECT_EQ(rows(folder, "path: bom.jsonl").num_rows(), 2);
}

TEST(ReadEvents, MapsConstantsAndTypes) {
  TemporaryFolder folder;
  folder.write("e.csv", "when,who,code,price,flag\n2024-05-01,7,007,1.5,true\n2024-05-02,8,010,2,false\n");
  data::Batch b = rows(folder, "path: e.csv, map: {ts: when, user: who}, constants: {action: buy, shop: 12}, types: {price: float32, flag: string}");
  using data::Type;
  auto type = [&](const char* name) { return b.column(name).type(); };
  EXPECT_EQ(b.schema().names(), (std::vector<std::string>{"user", "ts", "action", "shop", "code", "price", "flag"}));
  EXPECT_EQ(type("user"), Type::kString);
  EXPECT_EQ(type("code"), Type::kString);  // 007 is a code
  EXPECT_EQ(type("price"), Type::kFloat32);
  EXPECT_EQ(type("shop"), Type::kInt64);
  EXPECT_EQ(type("flag"), Type::kString);
  EXPECT_EQ(b.column("action").string(1), "buy");
  EXPECT_EQ(b.column("code").string(0), "007");
  EXPECT_EQ(rows(folder, "path: e.csv, map: {ts: when}").column("flag").type(), Type::kBool);
  EXPECT_THAT(error_of(folder, "path: e.csv").text(), HasSubstr("name the time column: map: {ts: ...}"));
  EXPECT_THAT(error_of(folder, "path: e.csv, map: {ts: wen}").text(), HasSubstr("did you mean 'when'?"));
  EXPECT_THAT(error_of(folder, "path: e.csv, map: {ts: when}, types: {prise: int64}").text(), HasSubstr("did you mean 'price'?"));
  EXPECT_THAT(error_of(folder, "path: e.csv, map: {ts: when}, types: {price: float}").text(), HasSubstr("did you mean 'float32'?"));
}

TEST(ReadEvents, NestedJsonAndNulls) {
  TemporaryFolder folder;
  folder.write("e.jsonl",
               "{\"t\":{\"at\":\"2024-05-01\"},\"u\":{\"id\":5,\"score\":1.5},\"a.b\":\"dot\",\"tags\":[\"x\",\"y\"],\"text\":null,\"n\":3}\n"
               "{\"t\":{\"at\":1714608000},\"u\":{\"score\":2},\"tags\":[],\"text\":\"\",\"n\":null,\"extra\":{\"k\":[1]}}\n"
               "{\"t\":{\"at\":1714608000},\"u\":7,\"n\":4.0}\n");
  data::Batch b = rows(folder, "path: e.jsonl, map: {ts: t.at, user: u.id, score: u.score, dotted: a.b}");
  ASSERT_EQ(b.num_rows(), 3);
  EXPECT_EQ(b.column("ts").as_int64(1), 1714608000'000'000);
  EXPECT_EQ(b.column("user").string(0), "5");
  EXPECT_FALSE(b.column("user").is_valid(1));
  EXPECT_FALSE(b.column("user").is_valid(2));
  EXPECT_EQ(b.column("dotted").string(0), "dot");
  EXPECT_EQ(b.column("tags").list_size(0), 2);
  EXPECT_TRUE(b.column("tags").is_valid(1));
  EXPECT_EQ(b.column("tags").list_size(1), 0);
  EXPECT_FALSE(b.column("tags").is_valid(2));
  EXPECT_FALSE(b.column("text").is_valid(0));
  EXPECT_TRUE(b.column("text").is_valid(1));  // an empty text is no null
  EXPECT_EQ(b.column("score").type(), data::Type::kFloat64) << "types below a dotted path are guessed too";
  EXPECT_EQ(b.column("extra").string(1), "{\"k\":[1]}");
  folder.write("null.csv", "ts,text,n\n2024-05-01,NA,NA\n2024-05-02,,-\n");
  b = rows(folder, "path: null.csv, null_values: [NA, \"-\"]");
  EXPECT_FALSE(b.column("text").is_valid(0));
  EXPECT_TRUE(b.column("text").is_valid(1));
  EXPECT_FALSE(b.column("n").is_valid(1));
}

TEST(ReadEvents, EveryFormOfTime) {
  TemporaryFolder folder;
  folder.write("e.csv", "ts\n2024-05-01T12:30:15Z\n2024-05-01 20:30:15\n1714566615\n1714566615000\n2024-05-01T08:30:15-04:00\n");
  data::Batch b = rows(folder, "path: e.csv, time_zone: Asia/Shanghai");
  for (int64_t r = 0; r < 5; ++r) EXPECT_EQ(b.column("ts").as_int64(r), 1714566615'000'000) << r;
  EXPECT_EQ(b.schema().at("ts").time_zone, "Asia/Shanghai");
  folder.write("u.csv", "ts\n5000\n5.5\n");
  EXPECT_EQ(rows(folder, "path: u.csv, time_unit: ms").column("ts").as_int64(0), 5'000'000);
  EXPECT_EQ(rows(folder, "path: u.csv, time_unit: us").column("ts").as_int64(0), 5000);
  EXPECT_EQ(rows(folder, "path: u.csv, time_unit: s").column("ts").as_int64(1), 5'500'000);
  folder.write("f.csv", "ts\n01/May/2024:12:30:15 +0000\n");
  EXPECT_EQ(rows(folder, "path: f.csv, time_format: \"%d/%b/%Y:%H:%M:%S %z\"").column("ts").as_int64(0), 1714566615'000'000);
  EXPECT_EQ(error_of(folder, "path: u.csv, time_zone: Mars/Olympus").fault(), Fault::kJob);
}

TEST(ReadEvents, OtherEncodings) {
  TemporaryFolder folder;
  folder.write("gb.csv", "ts,text\n2024-05-01,\xd6\xd0\xce\xc4\n");
  EXPECT_EQ(rows(folder, "path: gb.csv, encoding: gb18030").column("text").string(0), "中文");
  Error e = error_of(folder, "path: gb.csv");
  EXPECT_THAT(e.message(), HasSubstr("gb.csv:2: not valid UTF-8"));
  EXPECT_THAT(e.hint(), HasSubstr("encoding: gb18030"));
  EXPECT_EQ(error_of(folder, "path: gb.csv, encoding: gb18031x").fault(), Fault::kJob);
}

TEST(ReadEvents, BadRowsFailWithTheirLineOrAreCounted) {
  TemporaryFolder folder;
  std::string text = "ts,text,value\n";
  for (int i = 0; i < 2000; ++i) text += fmt::format("{},\"two\nlines {}\",{}\n", 1700000000 + i, i, i % 500 == 250 ? "many" : "1");
  folder.write("e.csv", text);
  packed(folder, "z.csv.gz", text);
  for (const char* file : {"e.csv", "z.csv.gz"})
    for (int ranks : {1, 3}) {
      // Row 250 begins on line 2 + 2 * 250.
      Error e = error_of(folder, std::string("path: ") + file + ", partitions: 8", ranks);
      EXPECT_EQ(e.fault(), Fault::kData);
      EXPECT_THAT(e.message(), HasSubstr(std::string(file) + ":502: 'value' is not a number: \"many\"")) << ranks;
      EXPECT_THAT(e.message(), HasSubstr("step 'e' (read_events)"));
    }
  for (const char* policy : {"skip", "quarantine"}) {
    JobRun run = read(folder, fmt::format("path: e.csv, partitions: 8, on_bad_row: {}", policy), {2, 2});
    EXPECT_EQ(run.rows("e").num_rows(), 1996);
    EXPECT_EQ(run.steps["e"].nodes["e"]["counters"]["rows_bad"], 4);
    EXPECT_EQ(run.steps["e"].nodes["e"]["counters"]["rows_read"], 1996);
    std::string kept;
    for (const auto& file : expand_glob(run.folder / "steps/e/state/quarantine-*")) kept += read_file(file);
    EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), policy == std::string("skip") ? 0 : 4);
    if (policy == std::string("quarantine")) {
      EXPECT_THAT(kept, HasSubstr("\"line\":502"));
      EXPECT_THAT(kept, HasSubstr("lines 1750"));
    }
  }
  folder.write("bad.jsonl", "{\"ts\":1}\n{\"ts\":\n[1]\n{\"text\":\"no time\"}\n{\"ts\":\"soon\"}\n{\"ts\":2}");
  EXPECT_EQ(read(folder, "path: bad.jsonl, on_bad_row: skip").steps["e"].nodes["e"]["counters"]["rows_bad"], 4);
  EXPECT_THAT(error_of(folder, "path: bad.jsonl").message(), HasSubstr("bad.jsonl:2: not valid JSON"));
  folder.write("open.csv", "ts,text\n1,\"open\n2,b\n");
  EXPECT_THAT(error_of(folder, "path: open.csv").message(), HasSubstr("open.csv:2: a quote is not closed"));
  folder.write("ragged.csv", "ts,text\n1,a\n2,b,c\n");
  EXPECT_THAT(error_of(folder, "path: ragged.csv").message(), HasSubstr("ragged.csv:3: 3 fields where 2 were expected"));
}

TEST(ReadEvents, ManyFilesAreOneInput) {
  TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) folder.write(fmt::format("in/{:02}.csv", i), fmt::format("ts,text\n{},t{}\n", 1700000000 + i, i));
  packed(folder, "in/20.csv.gz", "ts,text\n1700000020,t20\n");
  folder.write("in/.hidden.csv", "other\n1\n");
  for (const char* path : {"in", "in/*", "[in/0*, in/1*, in/20.csv.gz]"}) {
    data::Batch b = rows(folder, std::string("path: ") + path);
    ASSERT_EQ(b.num_rows(), 21) << path;
    for (int64_t r = 0; r < 21; ++r) EXPECT_EQ(b.column("text").string(r), "t" + std::to_string(r));
  }
  folder.write("empty.csv", "");
  EXPECT_EQ(rows(folder, "path: [in/00.csv, empty.csv]").num_rows(), 1) << "an empty file has no rows";
  folder.write("quoted.csv", "\"ts\",\"text\"\r\n1,\"a\"\r\n");
  EXPECT_EQ(rows(folder, "path: [in/00.csv, quoted.csv]").num_rows(), 2) << "the same header, written otherwise";
  for (const char* late : {"in/01.csv", "in/19.csv"}) {  // a file far down the list is looked at too
    folder.write(late, "text,ts\nx,1700000000\n");
    EXPECT_THAT(error_of(folder, "path: in").message(), HasSubstr("its header differs")) << late;
    folder.write(late, "ts,text\n1700000000,x\n");
  }
}

TEST(ReadEvents, FaultsOfTheInputAreClear) {
  TemporaryFolder folder;
  folder.write("empty.csv", "");
  folder.write("mac.csv", "ts,text\r1,a\r2,b\r");
  folder.write("twice.csv", "ts,a,a\n1,2,3\n");
  std::string text = quoted_csv(3000, "\n");
  std::string whole = read_file(folder / packed(folder, "w.csv.gz", text));
  folder.write("cut.csv.gz", whole.substr(0, whole.size() / 2));
  std::filesystem::create_directories(folder / "nothing");
  struct Case {
    const char *params, *message;
  };
  for (const Case& c : std::vector<Case>{{"path: none.csv", "none.csv: no such file"},
                                         {"path: \"none*.csv\"", "no file matches"},
                                         {"path: nothing", "the folder holds no files"},
                                         {"path: empty.csv", "has no header line"},
                                         {"path: twice.csv", "two columns are called 'a'"},
                                         {"path: mac.csv", "lines end with a carriage return alone"},
                                         {"path: cut.csv.gz", "the gzip data ends in the middle"},
                                         {"path: twice.csv, delimiter: ab", "expected one character"},
                                         {"path: []", "'path'"},
                                         {"path: \"\"", "'path'"},
                                         {"path: ", "'path'"}}) {
    Error e = error_of(folder, c.params);
    EXPECT_THAT(e.text(), HasSubstr(c.message)) << c.params;
    EXPECT_TRUE(e.fault() == Fault::kData || e.fault() == Fault::kJob) << c.params;
  }
}

}  // namespace
}  // namespace throng
