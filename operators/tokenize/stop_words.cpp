#include "operators/tokenize/stop_words.h"

namespace throng::op {
namespace {
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find(' ', at);
    if (end == std::string_view::npos) end = text.size();
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}
}  // namespace

std::vector<std::string_view> english_stop_words() {
  return words_of(
      "a about above after again against all also am an and any are aren't as at be because been before being below between "
      "both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from "
      "further had hadn't has hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how "
      "how's i i'd i'll i'm i've if in into is isn't it it's its itself just let's me more most mustn't my myself no nor not "
      "now of off on once only or other ought our ours ourselves out over own same shan't she she'd she'll she's should "
      "shouldn't so some such than that that's the their theirs them themselves then there there's these they they'd they'll "
      "they're they've this those through to too under until up upon very was wasn't we we'd we'll we're we've were weren't "
      "what what's when when's where where's which while who who's whom why why's will with won't would wouldn't you you'd "
      "you'll you're you've your yours yourself yourselves s t re ve ll d m");
}

std::vector<std::string_view> chinese_stop_words() {
  return words_of(
      "的 了 在 是 我 有 和 就 不 人 都 一 一个 上 也 很 到 说 要 去 你 会 着 没有 看 好 自己 这 那 他 她 它 们 我们 你们 他们 她们 "
      "它们 这个 那个 这些 那些 这样 那样 这里 那里 什么 怎么 怎样 为什么 哪 哪里 哪个 谁 几 多少 多 少 与 及 或 或者 而 而且 但 但是 "
      "因为 所以 如果 虽然 然后 并 并且 被 把 给 让 向 往 从 由 对 对于 关于 以 以及 为 为了 于 之 其 其中 此 该 各 每 每个 某 又 再 还 "
      "还是 只 只是 才 已 已经 正在 将 将要 能 能够 可以 可能 应该 必须 需要 想 想要 吗 呢 吧 啊 呀 哦 嗯 哈 哈哈 啦 嘛 么 得 地 过 "
      "起来 出来 下 里 中 后 前 时 时候 当 等 等等 之后 之前 以后 以前 现在 今天 这么 那么 非常 太 最 更 比 像 用 做 来 没 无 "
      "个 位 次 种 些 点 一下 一些 一样 一直 不是 不会 不能 就是 还有 真的 大家 别 却 便 即 若 则 因 所 者 与其 不但 不过 不管");
}

}  // namespace throng::op
