#include "cluster/heartbeat/invitation.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <nlohmann/json.hpp>
#include <random>

namespace throng::heartbeat {

std::string Invitation::pack() const {
  return nlohmann::json{{"host", host},     {"addresses", addresses}, {"port", port},
                        {"cookie", cookie}, {"answer", answer},       {"timeout_seconds", timeout_seconds}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Invitation Invitation::unpack(const std::string& packed) {
  auto j = nlohmann::json::parse(packed);
  return {j.at("host").get<std::string>(),   j.at("addresses").get<std::vector<std::string>>(), j.at("port").get<uint16_t>(),
          j.at("cookie").get<std::string>(), j.at("answer").get<std::string>(),                 j.at("timeout_seconds").get<double>()};
}

std::vector<std::string> interface_addresses() {
  std::vector<std::string> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return found;
  for (ifaddrs* i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK)) continue;
    char text[INET6_ADDRSTRLEN];
    const void* bytes = nullptr;
    if (i->ifa_addr->sa_family == AF_INET) {
      bytes = &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr;
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      const auto& address = reinterpret_cast<sockaddr_in6*>(i->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LINKLOCAL(&address)) bytes = &address;
    }
    if (bytes && ::inet_ntop(i->ifa_addr->sa_family, bytes, text, sizeof text)) found.push_back(text);
  }
  ::freeifaddrs(list);
  return found;
}

std::string random_cookie() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", uint32_t(device()));
  return text;
}

}  // namespace throng::heartbeat
