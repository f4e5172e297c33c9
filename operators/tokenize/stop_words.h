// Stop words for English and Chinese. Internal to tokenize.
#pragma once
#include <string_view>
#include <vector>

namespace throng::op {

std::vector<std::string_view> english_stop_words();
std::vector<std::string_view> chinese_stop_words();

}  // namespace throng::op
