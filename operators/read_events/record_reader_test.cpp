// Records read in blocks are those read one by one, whatever is in them.
#include "operators/read_events/record_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/random.h"
#include "operators/read_events/field_values.h"
#include "operators/read_events/input_files.h"
#include "operators/read_events/record_scan.h"
#include "tests/support/every_type.h"

namespace throng::op {
namespace {

struct Read {
  data::Batch rows;
  std::vector<std::string> faults;
};

Read one_by_one(const ReadEvents& params, const RecordFormat& format, const std::vector<std::string>& wanted, const std::string& text) {
  testing::TemporaryFolder folder;
  data::TextWindow window(folder.write("e.csv", text), 0);
  RecordReader reader(params, format, wanted);
  Read read{data::Batch::empty(data::Schema()), {}};
  for (uint64_t at = 0; at < text.size();) {
    const uint64_t end = record_end(window, at, format.quoting);
    const auto record = without_line_break(std::string_view(text).substr(at, end - at));
    if (!record.empty())
      if (const std::string fault = reader.add(record); !fault.empty()) read.faults.push_back(fmt::format("{}: {}: {}", at, record, fault));
    at = end;
  }
  read.rows = reader.take();
  return read;
}

Read in_blocks(const ReadEvents& params, const RecordFormat& format, const std::vector<std::string>& wanted, const std::string& text, size_t block) {
  RecordReader reader(params, format, wanted);
  EXPECT_TRUE(reader.reads_blocks());
  Read read{data::Batch::empty(data::Schema()), {}};
  size_t at = 0;
  for (size_t size = block; at < text.size();) {
    const size_t whole = reader.add_whole(std::string_view(text).substr(at, size),
                                          [&](size_t i, std::string_view record, const std::string& fault) { read.faults.push_back(fmt::format("{}: {}: {}", at + i, record, fault)); });
    if (whole == 0 && at + size >= text.size()) break;
    size = whole == 0 ? size * 2 : block;
    at += whole;
  }
  EXPECT_EQ(at, text.size());
  read.rows = reader.take();
  return read;
}

class Blocks : public ::testing::Test {
 protected:
  std::string pick(const std::vector<std::string>& of) { return of[random_.below(of.size())]; }
  std::string time() { return pick({"1700000000", "1700000000123", "-5", "2024-02-29", "2024-02-30", "2024-05-01 12:30", "2024-05-01T12:30:15Z", "2024-05-01 12:30:15.25", "2024-05-01 23:59:60", "2024/5/1", " 1700000001", "20240501", "", "1.5e9", "2024-05-01T12:30:15+08:00", "2024-05-01T12:30:15.1234567Z", "1700000000.75"}); }
  std::string whole() { return pick({"0", "-1", "7", "007", "2147483647", "2147483648", "-2147483648", "9223372036854775807", "123456789012345678", "+5", " 12 ", "", "NA", "1e3", "99"}); }
  std::string number() { return pick({"0", "-0", "0.1", "27.75", "123456789.123456", "1234567890123456", "0.123456789012345678", ".5", "5.", "-3.25", "1e-3", "nan", "inf", "", "NA", "+2.5", "1.2.3", "0.30000000000000004"}); }
  std::string word() { return pick({"plain", "", "NA", "\"\"", "\"quoted\"", "\"a,b\"", "\"a \"\"b\"\" c\"", "\"line\nbreak\"", "5\" disk\"", "\"open\"end", "中文", "\"中,文\"", "\xff", "x y", std::string(90, 'w')}); }
  std::string line_break() { return pick({"\n", "\n", "\n", "\r\n", "\n\n"}); }
  Random random_{5, 0, 0};
};

TEST_F(Blocks, GiveTheRowsAndFaultsOfSingleRecords) {
  for (const char* zone : {"UTC", "Asia/Shanghai"})
    for (bool quoting : {true, false})
      for (int trial = 0; trial < 60; ++trial) {
        ReadEvents params;
        params.types = {{"whole", "int64"}, {"small", "int32"}, {"number", "float64"}, {"half", "float32"}, {"flag", "bool"}};
        params.constants = {{"action", "buy"}, {"weight", "2.5"}};
        params.time_zone = zone;
        if (trial % 3 == 1) params.null_values = {"", "NA", "0", "-1"};
        if (trial % 4 == 2) params.time_unit = "ms";
        if (trial % 5 == 3) params.time_format = "%Y-%m-%d %H:%M:%E*S";
        const std::string header = "ts,whole,number,text,small,half,flag";
        const RecordFormat format = guess_format(params, false, quoting, ',', {header});
        const bool rare = trial % 2;  // few records that are not plain: those between them are read at once
        std::string text;
        for (int i = 0; i < 1500; ++i) {
          const bool odd = !rare || i % 97 == 5;
          text += fmt::format("{},{},{},{},{},{},{}{}", odd ? time() : std::to_string(1700000000 + i), odd ? whole() : std::to_string(i), odd ? number() : "0.5", odd ? word() : "w", odd ? whole() : "3",
                              odd ? number() : "1.25", odd ? pick({"true", "FALSE", "yes", ""}) : "true", odd ? line_break() : "\n");
          if (odd && i % 40 == 0) text += pick({"too,few\n", "a,b,c,d,e,f,g,h,i\n", "\r\n", ",,,,,,\n"});
        }
        if (quoting && std::count(text.begin(), text.end(), '"') % 2) text += "\"";
        text += "\n";
        const std::vector<std::string> all{"ts", "whole", "number", "text", "small", "half", "flag", "action", "weight"};
        for (const auto& wanted : {all, std::vector<std::string>{"text", "small"}}) {
          const Read one = one_by_one(params, format, wanted, text);
          for (size_t block : {size_t{700}, size_t{65536}, text.size()}) {
            const Read many = in_blocks(params, format, wanted, text, block);
            ASSERT_EQ(one.faults, many.faults) << "block " << block << ", trial " << trial;
            ASSERT_TRUE(testing::same(many.rows, one.rows)) << "block " << block << ", trial " << trial;
          }
          if (rare && params.time_format.empty()) {
            EXPECT_GT(one.rows.num_rows(), 1000);
          }
        }
      }
}

TEST_F(Blocks, PlainValuesAreThoseOfTheFullParser) {
  ReadEvents params;
  const FieldValues values(params);
  int plain = 0;
  for (int i = 0; i < 200'000; ++i) {
    const int64_t digits = int64_t(random_.below(uint64_t{1} << random_.below(62)));
    std::string text = std::to_string(digits);
    if (random_.below(2)) text = "-" + text;
    if (random_.below(3)) text.insert(text.size() - std::min<size_t>(random_.below(12), text.size() - 1), ".");
    double number = 0;
    if (values.read_plain(text, number)) {
      ++plain;
      const auto wanted = parse_number(text);
      ASSERT_TRUE(wanted) << text;
      ASSERT_EQ(*wanted, number) << text;
      ASSERT_EQ(std::signbit(*wanted), std::signbit(number)) << text;
    }
    int64_t whole = 0;
    if (values.read_plain(text, whole)) {
      ASSERT_EQ(parse_whole(text), whole) << text;
    } else if (text.size() < 18) {
      ASSERT_FALSE(parse_whole(text)) << text;
    }
    int64_t us = 0;
    if (values.read_plain_time(text, us)) {
      ASSERT_EQ(data::parse_time(text, data::TimeZone()), us) << text;
    }
  }
  EXPECT_GT(plain, 100'000);
  for (int i = 0; i < 50'000; ++i) {
    std::string text = fmt::format("{:04}-{:02}-{:02}", 1960 + random_.below(150), random_.below(14), random_.below(33));
    if (random_.below(3)) text += fmt::format("{}{:02}:{:02}:{:02}", random_.below(2) ? "T" : " ", random_.below(26), random_.below(62), random_.below(62));
    if (random_.below(3) == 0) text += fmt::format(".{}", random_.below(10'000'000));
    if (random_.below(2)) text += "Z";
    int64_t us = 0;
    if (values.read_plain_time(text, us)) {
      ASSERT_EQ(data::parse_time(text, data::TimeZone()), us) << text;
    } else if (text.size() == 19) {
      ASSERT_FALSE(data::parse_time(text, data::TimeZone()) && !text.ends_with(":60") && text.substr(11, 2) != "24") << text;
    }
  }
}

TEST_F(Blocks, MarksAreThoseOfALoopOverBytes) {
  RecordScan scan;
  for (size_t n : {0, 1, 63, 64, 65, 127, 128, 1000, 5000})
    for (int trial = 0; trial < 20; ++trial) {
      std::string text;
      for (size_t i = 0; i < n; ++i) text += random_.below(trial + 2) ? 'x' : "\n,\"\0"[random_.below(4)];
      for (bool quoting : {true, false}) {
        std::vector<uint32_t> lines, ends, quotes;
        bool inside = false;
        for (uint32_t i = 0; i < text.size(); ++i) {
          if (quoting && text[i] == '"') inside = !inside, quotes.push_back(i);
          if (inside) continue;
          if (text[i] == '\n') lines.push_back(i);
          if (text[i] == '\n' || text[i] == ',') ends.push_back(i);
        }
        scan.scan(text, ',', quoting);
        auto same = [](std::span<const uint32_t> a, const std::vector<uint32_t>& b) { return std::vector<uint32_t>(a.begin(), a.end()) == b; };
        ASSERT_TRUE(same(scan.lines(), lines) && same(scan.ends(), ends) && same(scan.quotes(), quotes)) << n;
      }
      ASSERT_EQ(count_bytes(text, ','), size_t(std::count(text.begin(), text.end(), ',')));
    }
}

}  // namespace
}  // namespace throng::op
