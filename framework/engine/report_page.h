// The report page's files, compiled in (generated from report_page/ by CMake).
#pragma once
#include <string_view>

namespace throng::engine::report_page {

extern const std::string_view kHtml, kStyle, kScript;

}  // namespace throng::engine::report_page
