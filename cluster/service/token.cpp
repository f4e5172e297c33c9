#include "cluster/service/token.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "framework/base/error.h"

namespace throng::service {
namespace {

std::string hexadecimal(const unsigned char* bytes, size_t n) {
  std::string text;
  for (size_t i = 0; i < n; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

}  // namespace

std::string random_token() {
  std::array<unsigned char, 32> bytes;
  if (RAND_bytes(bytes.data(), int(bytes.size())) != 1) throw system_error("no random numbers for a token");
  return hexadecimal(bytes.data(), bytes.size());
}

std::string hash_of_token(const std::string& token) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned size = 0;
  if (EVP_Digest(token.data(), token.size(), bytes.data(), &size, EVP_sha256(), nullptr) != 1) throw system_error("a token cannot be hashed");
  return hexadecimal(bytes.data(), size);
}

}  // namespace throng::service
