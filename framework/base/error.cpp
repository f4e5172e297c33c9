#include "framework/base/error.h"

#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <tuple>

namespace throng {

std::string Error::pack() const {
  return nlohmann::json{{"fault", exit_code()}, {"message", message_},     {"hint", hint_},
                        {"step", step_},        {"partition", partition_}, {"row", row_}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Error Error::unpack(const std::string& packed) {
  auto j = nlohmann::json::parse(packed);
  Error e(static_cast<Fault>(j.at("fault").get<int>()), j.at("message").get<std::string>());
  e.hint_ = j.at("hint").get<std::string>();
  e.step_ = j.at("step").get<int64_t>();
  e.partition_ = j.at("partition").get<int64_t>();
  e.row_ = j.at("row").get<int64_t>();
  return e;
}

bool Error::before(const Error& other) const {
  auto place = [](const Error& e) {
    auto last = [](int64_t v) { return v < 0 ? std::numeric_limits<int64_t>::max() : v; };
    return std::tuple(last(e.step_), last(e.partition_), last(e.row_));
  };
  return place(*this) < place(other);
}

Error current_error() {
  try {
    throw;
  } catch (const Error& e) {
    return e;
  } catch (const std::bad_alloc&) {
    return Error(Fault::kSystem, "out of memory").with_hint("use more ranks, or fewer threads a rank");
  } catch (const std::exception& e) {
    return Error(Fault::kBug, fmt::format("unexpected exception: {}", e.what()));
  } catch (...) {
    return Error(Fault::kBug, "unexpected exception of unknown type");
  }
}

}  // namespace throng
