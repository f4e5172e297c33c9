// The five sentences that open the report, with numbers, in English and Chinese.
#include <algorithm>

#include "framework/base/units.h"
#include "operators/report/findings.h"

namespace throng::op {

using nlohmann::json;

namespace {

std::string percent(double x) { return fmt::format("{:.1f} %", 100 * x); }
std::string count(const json& n) { return format_count(n.get<uint64_t>()); }
std::string day(const std::string& time) { return time.substr(0, 10); }

const char* weekday(size_t i, bool zh) {
  static const char* const en[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
  static const char* const cn[] = {"周一", "周二", "周三", "周四", "周五", "周六", "周日"};
  return zh ? cn[i] : en[i];
}

json sentence(const std::string& text, const std::string& chart, json posts = json::array()) { return {{"text", text}, {"chart", chart}, {"posts", std::move(posts)}}; }

std::string baseline(const std::string& name, bool zh) {
  if (name == "repeat_last") return zh ? "重复上一个" : "repeating the last";
  if (name == "popular") return zh ? "最常见" : "the most popular";
  return zh ? "一阶马尔可夫" : "first-order Markov";
}

json about(const json& f, bool zh) {
  if (f.contains("topics") && !f["topics"]["list"].empty()) {
    const json& list = f["topics"]["list"];
    std::string names;
    for (size_t i = 0; i < std::min<size_t>(3, list.size()); ++i)
      names += fmt::format("{}{}{}{} ({})", i ? (zh ? "、" : i == 2 || i + 1 == list.size() ? " and " : ", ") : "", zh ? "“" : "\"", list[i]["label"].get<std::string>(), zh ? "”" : "\"", percent(list[i]["share"]));
    return sentence(zh ? fmt::format("人们谈论最多的是{}，共 {} 个话题。", names, f["topics"]["k"].get<size_t>())
                       : fmt::format("People talk most about {}, of {} topics.", names, f["topics"]["k"].get<size_t>()),
                    "topics", list[0]["posts"]);
  }
  const json& actions = f["people"]["actions"];
  if (actions.empty()) return sentence(zh ? "数据里没有可以归类的文字或行为。" : "There is neither text nor action to tell what people do.", "actions");
  double share = actions[0][1].get<double>() / std::max(1.0, f["people"]["rows"].get<double>());
  return sentence(zh ? fmt::format("最常见的行为是“{}”，占 {}，共 {} 种行为。", actions[0][0].get<std::string>(), percent(share), f["people"]["num_actions"].get<size_t>())
                     : fmt::format("What people do most is \"{}\" ({} of events), of {} kinds of action.", actions[0][0].get<std::string>(), percent(share), f["people"]["num_actions"].get<size_t>()),
                  "actions", f.value("action_posts", json::array()));
}

json rose(const json& f, bool zh) {
  if (!f.contains("trends") || f["trends"]["risers"].empty()) return sentence(zh ? "没有发现明显的上升趋势。" : "Nothing rose clearly above its own history.", "trends");
  const json& r = f["trends"]["risers"][0];
  std::string users;  // none where the events name no user
  if (r["users"].get<int64_t>() > 0) users = zh ? fmt::format("、{} 位用户", count(r["users"])) : fmt::format(" by {} user{}", count(r["users"]), r["users"] == 1 ? "" : "s");
  std::string text = zh ? fmt::format("上升最快的是“{}”：{}（窗口 {}）出现 {} 次{}，此前平均 {:.1f} 次（z = {:.1f}）", r["key"].get<std::string>(), r["window"].get<std::string>(),
                                      f["trends"]["window"].get<std::string>(), count(r["count"]), users, r["mean_before"].get<double>(), r["z"].get<double>())
                        : fmt::format("\"{}\" rose most: {} times{} in the {} from {}, where {:.1f} were usual (z = {:.1f})", r["key"].get<std::string>(), count(r["count"]),
                                      users, f["trends"]["window"].get<std::string>(), r["window"].get<std::string>(), r["mean_before"].get<double>(), r["z"].get<double>());
  if (f["trends"]["risers"].size() > 1) {
    const json& s = f["trends"]["risers"][1];
    text += zh ? fmt::format("，其次是“{}”（{}）", s["key"].get<std::string>(), s["window"].get<std::string>()) : fmt::format("; next came \"{}\" ({})", s["key"].get<std::string>(), s["window"].get<std::string>());
  }
  return sentence(text + (zh ? "。" : "."), "trends", r["posts"]);
}

json who(const json& f, bool zh) {
  const json& p = f["people"];
  const auto& week = p["hour_of_week"];
  size_t busiest = size_t(std::max_element(week.begin(), week.end(), [](const json& a, const json& b) { return a.get<int64_t>() < b.get<int64_t>(); }) - week.begin());
  std::string when = fmt::format("{} {:02}:00", weekday(busiest / 24, zh), busiest % 24);
  std::string first = day(p["first"]), last = day(p["last"]);
  if (p["users"].get<int64_t>() == 0)
    return sentence(zh ? fmt::format("从 {} 到 {} 共有 {} 条事件，{} 最活跃。", first, last, count(p["rows"]), when)
                       : fmt::format("There were {} events from {} to {}, most of them around {}.", count(p["rows"]), first, last, when), "activity");
  return sentence(zh ? fmt::format("{} 位用户从 {} 到 {} 产生 {} 条事件；最活跃的 {} 位（1 %）占 {}；{} 最热闹。", count(p["users"]), first, last, count(p["rows"]), count(p["top_users"]), percent(p["top_share"]), when)
                     : fmt::format("{} users made {} events from {} to {}; the busiest {} (1 %) made {} of them, and most happens on {}.", count(p["users"]), count(p["rows"]), first, last,
                                   count(p["top_users"]), percent(p["top_share"]), when),
                  "activity", p["busiest_posts"]);
}

json next(const json& f, bool zh) {
  if (!f.contains("next") || f["next"].empty() || f["next"][0]["result"].is_null()) return sentence(zh ? "没有训练下一步预测模型。" : "No model of what comes next was trained.", "next");
  const json& r = f["next"][0]["result"];
  std::string target = r["target"];
  json posts = f["next"][0]["examples"];
  if (r["holdout_examples"] == 0)
    return sentence(zh ? fmt::format("{} 的模型已训练，但没有留出数据可以检验。", target) : fmt::format("A model of {} was trained, but no held-out case tells how good it is.", target), "next");
  if (r["task"] == "category") {
    const json& a = r["accuracy"];
    std::string best;
    double score = -1;
    for (const auto& [name, value] : a.items())
      if (name != "model" && value.get<double>() > score) score = value, best = baseline(name, zh);
    std::string text = zh ? fmt::format("下一个 {} 在留出数据上预测正确率为 {}，最好的基线（{}）为 {}（{} 例）", target, percent(a["model"]), best, percent(score), count(r["holdout_examples"]))
                          : fmt::format("The next {} is foretold right in {} of {} held-out cases, against {} for the best baseline ({})", target, percent(a["model"]), count(r["holdout_examples"]), percent(score), best);
    const json& s = r["switch_accuracy"];
    double rival = std::max(s["markov"].get<double>(), s["popular"].get<double>());
    text += zh ? fmt::format("；只看发生变化的 {} 例：{} 对 {}。", count(r["switches"]), percent(s["model"]), percent(rival))
               : fmt::format("; where it changes ({} cases), {} against {}.", count(r["switches"]), percent(s["model"]), percent(rival));
    return sentence(text, "next", posts);
  }
  if (r["task"] == "number") {
    const json& e = r["rmse"];
    double rival = std::min(e["mean"].get<double>(), e["repeat_last"].get<double>());
    return sentence(zh ? fmt::format("下一个 {} 的预测误差（RMSE）为 {:.4g}，最好的基线为 {:.4g}。", target, e["model"].get<double>(), rival)
                       : fmt::format("The next {} is foretold with an error (RMSE) of {:.4g}, against {:.4g} for the best baseline.", target, e["model"].get<double>(), rival), "next", posts);
  }
  std::string auc = r["auc"].is_null() ? "-" : fmt::format("{:.3f}", r["auc"].get<double>());
  return sentence(zh ? fmt::format("“{}” 是否会发生：AUC {}，对数损失 {:.4f}，按发生率猜为 {:.4f}。", target, auc, r["log_loss"]["model"].get<double>(), r["log_loss"]["base_rate"].get<double>())
                     : fmt::format("Whether the awaited {} comes is told with AUC {} and log-loss {:.4f}, against {:.4f} for its base rate.", target, auc, r["log_loss"]["model"].get<double>(), r["log_loss"]["base_rate"].get<double>()),
                  "next", posts);
}

json wrong(const json& f, bool zh) {
  static const std::vector<std::pair<std::string, std::pair<const char*, const char*>>> names{{"rows_bad", {"unreadable", "无法读取"}},
                                                                                              {"dropped_missing", {"incomplete", "缺值"}},
                                                                                              {"dropped_invalid", {"invalid", "无效"}},
                                                                                              {"dropped_duplicates", {"repeated", "重复"}}};
  int64_t dropped = 0, read = 0;
  std::string reasons;
  for (const auto& [name, words] : names) {
    int64_t n = 0;
    for (const auto& step : f["quality"]) n += step["counters"].value(name, int64_t{0});
    if (n) reasons += fmt::format("{}{} {}", reasons.empty() ? "" : zh ? "、" : ", ", format_count(uint64_t(n)), zh ? words.second : words.first);
    dropped += n;
  }
  for (const auto& step : f["quality"]) read += step["counters"].value("rows_read", int64_t{0}) + step["counters"].value("rows_bad", int64_t{0});
  // The longest run of empty buckets between the first and the last event.
  const json& activity = f["people"]["activity"];
  size_t longest = 0, run = 0, end = 0;
  for (size_t i = 0; i < activity.size(); ++i) {
    run = activity[i][1] == 0 ? run + 1 : 0;
    if (run > longest) longest = run, end = i;
  }
  std::string text;
  if (dropped > 0)
    text = zh ? fmt::format("{} 行中有 {} 行被丢弃（{}）", format_count(uint64_t(read)), format_count(uint64_t(dropped)), reasons)
              : fmt::format("{} of {} rows read were dropped ({})", format_count(uint64_t(dropped)), format_count(uint64_t(read)), reasons);
  else
    text = zh ? fmt::format("读入的 {} 行全部可用", format_count(uint64_t(read))) : fmt::format("None of the {} rows read had to be dropped", format_count(uint64_t(read)));
  if (longest > 0)
    text += zh ? fmt::format("；{} 前有 {} 的空白", activity[end][0].get<std::string>(), format_duration({int64_t(longest) * f["people"]["bucket_seconds"].get<int64_t>() * 1'000'000}))
               : fmt::format("; nothing happened for {} before {}", format_duration({int64_t(longest) * f["people"]["bucket_seconds"].get<int64_t>() * 1'000'000}), activity[end][0].get<std::string>());
  if (f["people"]["without_user"].get<int64_t>() > 0)
    text += zh ? fmt::format("；{} 行没有用户", count(f["people"]["without_user"])) : fmt::format("; {} rows name no user", count(f["people"]["without_user"]));
  return sentence(text + (zh ? "。" : "."), "quality", f.value("bad_rows", json::array()));
}

}  // namespace

json say(const json& findings, const Report& params) {
  const bool zh = params.language == "zh";
  return json::array({about(findings, zh), rose(findings, zh), who(findings, zh), next(findings, zh), wrong(findings, zh)});
}

}  // namespace throng::op
