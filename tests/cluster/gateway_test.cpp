// The daemon as a whole.
#include "cluster/service/gateway.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "tests/support/batches.h"

namespace throng::service {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class WholeGateway : public ::testing::Test {
 protected:
  GatewayOptions options() {
    GatewayOptions o;
    o.runs.root = folder_ / "runs", o.runs.program = folder_ / "program";
    return o;
  }
  throng::testing::TemporaryFolder folder_;
};

TEST_F(WholeGateway, OneOfARunRoot) {
  const Gateway first(options());
  try {
    Gateway second(options());
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("runs: another gateway serves these runs"));
  }
}

// A plan that hangs is left to itself.
TEST_F(WholeGateway, EndsWhileAJobIsChecked) {
  std::ofstream(folder_ / "program") << "#!/bin/sh\necho $$ >" << (folder_ / "begun").string() << ".now; mv " << (folder_ / "begun").string() << ".now " << (folder_ / "begun").string() << "; exec sleep 1000\n";
  ::chmod((folder_ / "program").c_str(), 0755);
  int client = -1;
  {
    const Gateway gateway(options());
    std::string token = read_file(gateway.new_token_file());
    token.pop_back();
    client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(gateway.port()), address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = "POST /api/v1/plan HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"job\": \"x\"}";
    ASSERT_EQ(::send(client, request.data(), request.size(), MSG_NOSIGNAL), ssize_t(request.size()));
    while (!fs::exists(folder_ / "begun")) ::usleep(10000);
  }
  ::close(client);
  const int child = std::stoi(read_file(folder_ / "begun"));
  EXPECT_EQ(::kill(child, 0), 0) << "the gateway has waited for it";
  ::kill(child, SIGKILL);
}

}  // namespace
}  // namespace throng::service
