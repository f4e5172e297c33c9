#include "jobs/cli/behaviour_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "framework/base/random.h"

namespace throng::cli {
namespace {

using nlohmann::json;

struct Topic {
  const char* name;
  std::vector<const char*> words;
};

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all{
      {"football", {"match", "goal", "league", "coach", "striker", "penalty", "stadium", "defender", "season", "transfer", "keeper", "trophy"}},
      {"cooking", {"recipe", "oven", "garlic", "butter", "sauce", "flour", "roast", "noodle", "spice", "kitchen", "dessert", "soup"}},
      {"music", {"concert", "guitar", "album", "singer", "lyrics", "drummer", "melody", "festival", "chorus", "piano", "vinyl", "encore"}},
      {"travel", {"flight", "hotel", "passport", "beach", "luggage", "museum", "itinerary", "airport", "island", "hiking", "visa", "sunset"}},
      {"电影", {"电影", "导演", "演员", "票房", "剧本", "影院", "预告片", "主角", "配乐", "影评", "首映", "镜头"}},
      {"科技", {"手机", "芯片", "电池", "屏幕", "算法", "机器人", "软件", "网络", "数据", "显卡", "系统", "摄像头"}},
      {"健康", {"医生", "睡眠", "跑步", "营养", "疫苗", "血压", "锻炼", "维生素", "医院", "体检", "饮食", "感冒"}},
      {"股票", {"股票", "基金", "银行", "利率", "投资", "市场", "债券", "收益", "经济", "通胀", "汇率", "证券"}}};
  return all;
}

const std::vector<const char*> kEnglishFiller{"really", "today", "great", "people", "time", "think", "good", "new", "never", "always"};
const std::vector<const char*> kChineseFiller{"今天", "朋友", "喜欢", "觉得", "开心", "时间", "问题", "世界", "生活", "希望"};
const std::array<const char*, 6> kActions{"post", "view", "like", "share", "search", "buy"};
constexpr int kCommunities = 4;
constexpr const char* kBurstWord = "eclipse";
constexpr int64_t kStart = 1'704'067'200;  // 2024-01-01 UTC

// Next action after the last one; the row of a user's first action is the first.
constexpr double kNext[6][6] = {{0.10, 0.55, 0.10, 0.05, 0.15, 0.05},   // post
                                {0.10, 0.50, 0.10, 0.10, 0.15, 0.05},   // view
                                {0.25, 0.25, 0.05, 0.35, 0.05, 0.05},   // like
                                {0.40, 0.35, 0.05, 0.05, 0.10, 0.05},   // share
                                {0.05, 0.70, 0.03, 0.02, 0.10, 0.10},   // search
                                {0.35, 0.30, 0.05, 0.20, 0.05, 0.05}};  // buy

// Ranks 0 .. n-1 with probability proportional to 1 / (rank + 1), by inversion of the continuous law.
int64_t zipf(Random& random, int64_t n) {
  return std::min<int64_t>(n - 1, int64_t(std::pow(double(n) + 1, random.uniform())) - 1);
}

std::string post_text(Random& random, const Topic& topic, bool burst) {
  const bool chinese = static_cast<unsigned char>(topic.words[0][0]) >= 0x80;
  const auto& filler = chinese ? kChineseFiller : kEnglishFiller;
  std::string text;
  int64_t n = 8 + random.below(7);
  for (int64_t i = 0; i < n; ++i) {
    const char* word = random.uniform() < 0.8 ? topic.words[random.below(uint32_t(topic.words.size()))] : filler[random.below(uint32_t(filler.size()))];
    text += (i ? " " : "") + std::string(word);
  }
  if (burst) text += chinese ? " 日食 eclipse" : " eclipse";
  if (random.uniform() < 0.1) text += fmt::format(" #{}#", topic.name);
  if (random.uniform() < 0.1) text += chinese ? " [二哈]" : " \xF0\x9F\x98\x80";
  return text;
}

}  // namespace

std::string generate_behaviour(const BehaviourOptions& o, const std::function<void(const std::string&)>& write) {
  std::vector<int8_t> last(size_t(o.users), -1), before(size_t(o.users), -1);
  const int64_t items = std::max<int64_t>(16, o.users / 4), span = int64_t(o.days) * 86'400;
  const int burst_day = o.days * 2 / 3;
  int64_t burst_posts = 0;
  double clock = 0;
  for (int64_t e = 0; e < o.events; ++e) {
    Random random(o.seed, uint64_t(e));
    // Events are spread evenly, then moved towards the evening within their day.
    clock = double(span) * (double(e) + 0.5) / double(o.events);
    int64_t day = int64_t(clock) / 86'400;
    double in_day = (clock - double(day) * 86'400) / 86'400;
    int64_t ts = kStart + day * 86'400 + int64_t(86'399 * std::pow(in_day, 0.6));
    size_t user = size_t(zipf(random, o.users));
    int action;
    if (last[user] == 1 && before[user] == 1 && random.uniform() < 0.9) {
      action = 2;
    } else {
      double u = random.uniform();
      const double* row = kNext[last[user] < 0 ? 0 : size_t(last[user])];
      for (action = 0; action < 5 && u >= row[action]; ++action) u -= row[action];
    }
    before[user] = last[user], last[user] = int8_t(action);
    const int community = int(user % kCommunities);
    // Most of the time one of the community's two topics; else any.
    size_t topic = random.uniform() < 0.85 ? size_t(community * 2) + random.below(2) : random.below(8);
    json event{{"user", fmt::format("u{}", user)}, {"item", fmt::format("i{}", zipf(random, items))}, {"ts", ts}, {"action", kActions[size_t(action)]}};
    if (action == 0) {
      bool burst = day == burst_day && random.uniform() < 0.4;
      burst_posts += burst;
      event["text"] = post_text(random, topics()[topic], burst);
    }
    if (action == 5) event["value"] = std::round(100 * (5 + 20 * random.uniform() + 10 * community)) / 100;
    write(event.dump() + "\n");
  }
  json truth{{"users", o.users}, {"events", o.events}, {"seed", o.seed}, {"days", o.days}, {"communities", kCommunities}};
  truth["topics"] = json::array();
  for (const auto& t : topics()) truth["topics"].push_back({{"name", t.name}, {"words", t.words}});
  truth["burst"] = {{"word", kBurstWord}, {"from", kStart + int64_t{burst_day} * 86'400}, {"to", kStart + int64_t{burst_day + 1} * 86'400}, {"posts", burst_posts}};
  truth["pattern"] = "after view, view comes like with probability 0.9 at least";
  return truth.dump(1);
}

}  // namespace throng::cli
