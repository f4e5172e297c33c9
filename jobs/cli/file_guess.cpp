#include "jobs/cli/file_guess.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/data/text_input.h"
#include "framework/data/time.h"
#include "framework/text/unicode.h"
#include "operators/read_events/input_files.h"
#include "operators/read_events/record_fields.h"

namespace throng::cli {
namespace {

constexpr size_t kSampleLines = 200;

// Names that people give to each of our columns, folded: lower case, without spaces, dots, dashes and underscores.
const std::vector<std::pair<std::string, std::vector<std::string>>>& known_names() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> names{
      {"ts", {"ts", "time", "timestamp", "datetime", "date", "createdat", "created", "eventtime", "invoicedate", "orderdate", "postedat", "publishedat", "publishtime", "unixtime",
              "发布时间", "时间", "日期", "创建时间", "下单时间", "事件时间", "时间戳", "评论时间"}},
      {"user", {"user", "userid", "uid", "username", "customerid", "customer", "visitorid", "author", "authorid", "memberid", "accountid", "buyer", "reviewerid",
                "用户id", "用户", "用户名", "用户编号", "买家", "买家id", "会员id", "会员", "作者", "昵称", "用户昵称"}},
      {"item", {"item", "itemid", "product", "productid", "stockcode", "sku", "asin", "movieid", "songid", "goodsid", "articleid", "videoid", "postid",
                "商品id", "商品", "商品编号", "产品", "物品", "货号", "视频id", "文章id"}},
      {"action", {"action", "event", "eventtype", "eventname", "type", "behavior", "behaviour", "behaviortype", "activity", "行为", "行为类型", "操作", "动作", "事件", "事件类型"}},
      {"text", {"text", "content", "body", "message", "title", "description", "comment", "review", "reviewtext", "tweet", "post", "headline", "query",
                "微博正文", "内容", "正文", "标题", "评论", "评论内容", "文本", "微博内容", "描述", "热搜词"}},
      {"value", {"value", "price", "amount", "rating", "score", "unitprice", "total", "revenue", "stars", "duration", "金额", "价格", "评分", "单价", "总价", "分数"}}};
  return names;
}

std::string folded(const std::string& name) {
  std::string out, lower = text::to_lower(text::fold_width(name));
  if (size_t colon = lower.find(':'); colon != std::string::npos) lower = lower.substr(0, colon);  // typed headers: user_id:token
  for (char c : lower)
    if (c != ' ' && c != '_' && c != '-' && c != '.') out += c;
  return out;
}

using Columns = std::vector<std::pair<std::string, std::vector<std::string>>>;  // name, sample values

bool is_mostly(const std::vector<std::string>& values, const std::function<bool(const std::string&)>& test) {
  size_t full = 0, good = 0;
  for (const auto& v : values)
    if (!v.empty()) ++full, good += test(v);
  return full > 0 && good * 10 >= full * 9;
}

bool is_time(const std::string& v) {
  static const data::TimeZone utc;
  auto us = data::parse_time(v, utc);
  // A plain number must look like a date between 1990 and 2100, or it is a count.
  return us && (v.find_first_not_of("0123456789.") != std::string::npos || (*us > 631'152'000'000'000 && *us < 4'102'444'800'000'000));
}

const std::vector<std::string>& time_formats() {
  static const std::vector<std::string> formats{"%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y", "%d.%m.%Y %H:%M", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日", "%m/%d/%Y", "%d/%m/%Y", "%Y%m%d"};
  return formats;
}

Columns read_json_columns(const std::vector<std::string>& lines) {
  Columns columns;
  for (const auto& line : lines) {
    auto j = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!j.is_object()) continue;
    for (const auto& [key, value] : j.items()) {
      auto it = std::find_if(columns.begin(), columns.end(), [&, k = key](const auto& c) { return c.first == k; });
      if (it == columns.end()) it = columns.insert(columns.end(), {key, {}});
      it->second.push_back(value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump());
    }
  }
  return columns;
}

}  // namespace

FileGuess guess_file(const std::string& path) {
  namespace fs = std::filesystem;
  if (!fs::exists(path)) throw data_error("{}: no such file", path);
  if (fs::is_directory(path)) throw job_error("{}: is a folder", path).with_hint("name one of its files, then change 'path:' in the job to the folder");
  FileGuess g;
  data::TextWindow window(path, 0);
  window.ensure(1 << 16);
  std::string start(window.from(0).substr(0, 1 << 16));
  if (start.empty()) throw data_error("{}: is empty", path);
  uint64_t at = start.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  // The last character may be cut in the middle: judge whole lines only.
  std::string whole = start.size() < (1 << 16) ? start : start.substr(0, start.rfind('\n') + 1);
  std::unique_ptr<text::Decoder> decoder;
  if (!text::is_valid_utf8(whole)) {
    std::string utf8;
    for (const char* encoding : {"gb18030", "latin1"}) {
      auto candidate = std::make_unique<text::Decoder>(encoding);
      if (!candidate->decode(whole, utf8)) continue;
      g.encoding = encoding;
      decoder = std::move(candidate);
      break;
    }
    g.remarks.push_back(fmt::format("not UTF-8; read as {}", g.encoding));
  }
  std::string first_line = whole.substr(at, whole.find('\n', at) - at);
  if (first_line.starts_with("{")) g.format = "jsonl";
  else if (std::count(first_line.begin(), first_line.end(), '\t') > 0) g.format = "tsv";
  else if (std::count(first_line.begin(), first_line.end(), ';') > std::count(first_line.begin(), first_line.end(), ',')) g.delimiter = ';';
  else if (std::count(first_line.begin(), first_line.end(), '|') > std::count(first_line.begin(), first_line.end(), ',')) g.delimiter = '|';
  const bool quoting = g.format == "csv";

  std::vector<std::string> lines;
  while (lines.size() < kSampleLines) {
    uint64_t end = op::record_end(window, at, quoting);
    if (end == at) break;
    std::string line(window.from(at).substr(0, end - at)), utf8;
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    if (decoder && decoder->decode(line, utf8)) line = utf8;
    if (!line.empty()) lines.push_back(std::move(line));
    at = end;
  }

  Columns columns;
  if (g.format == "jsonl") {
    columns = read_json_columns(lines);
  } else {
    const char delimiter = g.delimiter ? g.delimiter : g.format == "tsv" ? '\t' : ',';
    std::vector<std::string> fields;
    op::split_fields(lines[0], delimiter, quoting, fields);
    // A header names things: no field of it is a time or a number, and none is empty.
    bool header = std::none_of(fields.begin(), fields.end(), [](const std::string& f) {
      return f.empty() || is_time(f) || f.find_first_not_of("0123456789.-") == std::string::npos;
    });
    for (size_t i = 0; i < fields.size(); ++i) columns.push_back({header ? fields[i] : fmt::format("column{}", i + 1), {}});
    for (size_t r = header ? 1 : 0; r < lines.size(); ++r) {
      if (!op::split_fields(lines[r], delimiter, quoting, fields)) continue;
      for (size_t i = 0; i < std::min(fields.size(), columns.size()); ++i) columns[i].second.push_back(fields[i]);
    }
    if (!header)
      for (const auto& [name, values] : columns) g.header.push_back(name);
  }
  if (columns.empty()) throw data_error("{}: no columns were found", path);
  g.remarks.push_back(fmt::format("{}{}, {} columns", g.format, g.header.empty() ? "" : " without a header", columns.size()));

  std::map<std::string, std::string> chosen;  // ours -> theirs
  std::vector<std::string> taken;
  auto choose = [&](const std::string& ours, const std::string& theirs) {
    chosen[ours] = theirs;
    taken.push_back(theirs);
  };
  auto is_taken = [&](const std::string& name) { return std::find(taken.begin(), taken.end(), name) != taken.end(); };
  auto readable_time = [&](const std::vector<std::string>& values) -> std::optional<std::string> {
    if (is_mostly(values, is_time)) return "";
    static const data::TimeZone utc;
    for (const auto& format : time_formats())
      if (is_mostly(values, [&](const std::string& v) { return utc.parse_as(v, format).has_value(); })) return format;
    return {};
  };
  for (const auto& [ours, names] : known_names())
    for (const auto& known : names) {
      if (chosen.count(ours)) break;
      for (const auto& [name, values] : columns) {
        if (folded(name) != known || is_taken(name)) continue;
        if (ours == "ts") {
          auto format = readable_time(values);
          if (!format) continue;
          g.time_format = *format;
        }
        if (ours == "value" && !is_mostly(values, [](const std::string& v) { return v.find_first_not_of("0123456789.-+eE") == std::string::npos; })) continue;
        choose(ours, name);
        break;
      }
    }
  // By content, where names did not help.
  for (const auto& [name, values] : columns) {
    if (is_taken(name)) continue;
    if (!chosen.count("ts")) {
      if (auto format = readable_time(values)) {
        g.time_format = *format;
        choose("ts", name);
        continue;
      }
    }
  }
  if (!chosen.count("text")) {
    std::string best;
    double longest = 8;  // characters on average; shorter ones are names
    for (const auto& [name, values] : columns) {
      if (is_taken(name) || values.empty()) continue;
      double total = 0;
      bool numbers = is_mostly(values, [](const std::string& v) { return v.find_first_not_of("0123456789.-") == std::string::npos; });
      for (const auto& v : values) total += double(text::length(v));
      if (!numbers && total / double(values.size()) > longest) longest = total / double(values.size()), best = name;
    }
    if (!best.empty()) choose("text", best);
  }
  if (!chosen.count("ts")) {
    std::vector<std::string> names;
    for (const auto& [name, values] : columns) names.push_back(name);
    throw data_error("{}: no column looks like a time; its columns are: {}", path, fmt::join(names, ", "))
        .with_hint("Throng's events need a time; write the job by hand with map: {ts: COLUMN} and time_format");
  }
  for (const auto& [ours, names] : known_names()) {
    auto it = chosen.find(ours);
    if (it == chosen.end()) continue;
    g.found.push_back(ours);
    if (it->second != ours) g.map.emplace_back(ours, it->second);
    g.remarks.push_back(fmt::format("{} is '{}'{}", ours, it->second, ours == "ts" && !g.time_format.empty() ? " with time format " + g.time_format : ""));
  }
  if (chosen.count("text"))
    for (const auto& [name, values] : columns)
      if (name == chosen["text"])
        for (const auto& v : values)
          for (size_t i = 0; i < v.size() && !g.chinese;) g.chinese = text::is_han(text::next_code_point(v, i));
  return g;
}

}  // namespace throng::cli
