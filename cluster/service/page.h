// The files of the gateway's page, which are part of the program.
#pragma once
#include <string_view>

namespace throng::service::page {

extern const std::string_view kHtml, kStyle, kScript, kOpenApi;

}  // namespace throng::service::page
