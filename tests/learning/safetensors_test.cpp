// Weights in safetensors: written and read again, read from Python, other types, damage.
#include "framework/train/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "framework/base/files.h"
#include "framework/nn/layers.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng::train {
namespace {
using ::testing::HasSubstr;

std::string file_of(const std::string& header, const std::string& numbers) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + numbers;
}

class SafeTensors : public ::testing::Test {
 protected:
  SafeTensors() : first_(parameters_, "first", 3, 5), second_(parameters_, "second", 5, 2, false), weights_(parameters_.size()) { parameters_.initialize<float>(weights_, 7); }
  testing::TemporaryFolder folder_;
  nn::Parameters parameters_;
  nn::Linear first_, second_;
  std::vector<float> weights_;
};

TEST_F(SafeTensors, AreReadAsTheyWereWritten) {
  save_safetensors(folder_ / "w.safetensors", parameters_, weights_);
  const auto tensors = load_safetensors(folder_ / "w.safetensors");
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors.at("first.weight").shape, (std::vector<int64_t>{5, 3}));
  std::vector<float> again(weights_.size(), -1.0f);
  EXPECT_EQ(start_from_safetensors(folder_ / "w.safetensors", parameters_, again), 3u);
  for (const auto& e : parameters_.entries())
    for (size_t i = 0; i < e.where.size(); ++i) EXPECT_EQ(again[e.where.at + i], weights_[e.where.at + i]) << e.name;
}

TEST_F(SafeTensors, HalfTheSizeInBfloat16) {
  weights_[first_.weight.at] = 1.00390625f, weights_[first_.weight.at + 1] = 1.01171875f;  // halfway: to the even one
  weights_[first_.weight.at + 2] = 3.4e38f, weights_[first_.weight.at + 3] = -1e-42f;
  save_safetensors(folder_ / "w.safetensors", parameters_, weights_, Stored::kBfloat16);
  std::vector<float> again(weights_.size(), -1.0f);
  EXPECT_EQ(start_from_safetensors(folder_ / "w.safetensors", parameters_, again), 3u);
  EXPECT_EQ(again[first_.weight.at], 1.0f);
  EXPECT_EQ(again[first_.weight.at + 1], 1.015625f);
  EXPECT_TRUE(std::isinf(again[first_.weight.at + 2]));
  for (const auto& e : parameters_.entries())
    for (size_t i = 4; i < e.where.size(); ++i) EXPECT_NEAR(again[e.where.at + i], weights_[e.where.at + i], std::abs(weights_[e.where.at + i]) / 256) << e.name;
  save_safetensors(folder_ / "whole.safetensors", parameters_, weights_);
  size_t numbers = 0;
  for (const auto& e : parameters_.entries()) numbers += e.where.size();
  EXPECT_NEAR(double(std::filesystem::file_size(folder_ / "whole.safetensors") - std::filesystem::file_size(folder_ / "w.safetensors")), double(2 * numbers), 16);
}

// By the format's own words, with nothing but the standard library and NumPy.
TEST_F(SafeTensors, AreReadFromPython) {
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) GTEST_SKIP() << "NumPy is not there";
  save_safetensors(folder_ / "w.safetensors", parameters_, weights_);
  folder_.write("read.py", R"(import json, struct, sys
import numpy as np
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
header, numbers = json.loads(raw[8:8 + n]), raw[8 + n:]
assert n % 8 == 0
total = 0
for name, about in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    begin, end = about["data_offsets"]
    tensor = np.frombuffer(numbers[begin:end], "<f4").reshape(about["shape"])
    total += end - begin
    print(name, *about["shape"], "%.6f" % np.float64(tensor).sum())
assert total == len(numbers)
)");
  ASSERT_EQ(std::system(fmt::format("/usr/bin/python3 {0}/read.py {0}/w.safetensors > {0}/out.txt", folder_.path().string()).c_str()), 0);
  std::string expected;
  for (const auto& e : parameters_.entries()) {
    double sum = 0;
    for (size_t i = 0; i < e.where.size(); ++i) sum += double(weights_[e.where.at + i]);
    expected += fmt::format("{} {} {} {:.6f}\n", e.name, e.where.rows, e.where.cols, sum);
  }
  EXPECT_EQ(read_file(folder_ / "out.txt"), expected);
}

TEST_F(SafeTensors, OtherTypesBecomeFloats) {
  auto one = [&](const std::string& type, const std::string& bytes, size_t count) {
    folder_.write("t", file_of(fmt::format(R"({{"__metadata__":{{"by":"someone"}},"x":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", type, count, bytes.size()), bytes));
    return load_safetensors(folder_ / "t").at("x").values;
  };
  const double d[] = {1.5, -2};
  EXPECT_EQ(one("F64", std::string(reinterpret_cast<const char*>(d), 16), 2), (std::vector<float>{1.5f, -2}));
  const uint16_t half[] = {0x3C00, 0xC500, 0x0001, 0x7C00, 0x0000}, brain[] = {0x3F80, 0xC0A0};
  EXPECT_EQ(one("F16", std::string(reinterpret_cast<const char*>(half), 10), 5), (std::vector<float>{1, -5, std::ldexp(1.0f, -24), INFINITY, 0}));
  EXPECT_EQ(one("BF16", std::string(reinterpret_cast<const char*>(brain), 4), 2), (std::vector<float>{1, -5}));
  EXPECT_THAT(testing::error_of([&] { one("I64", std::string(8, 'x'), 1); }).text(), HasSubstr("tensor 'x' is I64"));
}

TEST_F(SafeTensors, DamageAndStrangersAreErrors) {
  auto error = [&](const std::string& content) {
    folder_.write("t", content);
    const Error e = testing::error_of([&] { start_from_safetensors(folder_ / "t", parameters_, weights_); });
    EXPECT_EQ(e.fault(), Fault::kData);
    return e.text();
  };
  EXPECT_THAT(error("abc"), HasSubstr("has no header"));
  EXPECT_THAT(error(std::string(8, '\x7f') + "{}"), HasSubstr("its header says that it is"));
  EXPECT_THAT(error(file_of("[1]", "")), HasSubstr("no JSON object"));
  EXPECT_THAT(error(file_of(R"({"x":{"dtype":"F32"}})", "")), HasSubstr("'x' cannot be understood"));
  EXPECT_THAT(error(file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "abcd")), HasSubstr("tensor 'x' does not lie where"));
  EXPECT_THAT(error(file_of(R"({"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", "")), HasSubstr("the shape of 'x' cannot be"));
  EXPECT_THAT(error(file_of(R"({"x":{"dtype":"F32","shape":[-4],"data_offsets":[0,0]}})", "")), HasSubstr("the shape of 'x' cannot be"));
  EXPECT_THAT(error(file_of(R"({"firs.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd")), HasSubstr("no weights 'firs.weight'"));
  EXPECT_THAT(error(file_of(R"({"first.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd")), HasSubstr("'first.weight' has 1 values, the model's (5, 3)"));
}

// As PyTorch names and lays out what is one matrix, or several, here.
TEST_F(SafeTensors, OtherNamesAreTakenApartAndPutTogether) {
  nn::Parameters p;
  const auto flat = p.add("recurrent.l0", 1, 8, nn::Initial::constant(0)), key = p.add("key", 2, 3, nn::Initial::constant(0)), stays = p.add("stays", 1, 2, nn::Initial::constant(0));
  std::vector<float> numbers(26), w(p.size(), -1.0f);
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  folder_.write("t", file_of(R"({"in_proj":{"dtype":"F32","shape":[6,3],"data_offsets":[0,72]},"w_ih":{"dtype":"F32","shape":[2,3],"data_offsets":[72,96]},"b":{"dtype":"F32","shape":[2],"data_offsets":[96,104]}})",
                             std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * 4)));
  EXPECT_EQ(start_from_safetensors(folder_ / "t", p, w, {{"recurrent.l0", "w_ih b"}, {"key", "in_proj[2:4]"}}), 2u);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(w[flat.at + i], 18 + float(i));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(w[key.at + i], 6 + float(i));
  EXPECT_EQ(w[stays.at], -1);
  auto error = [&](const TakenFrom& names) { return testing::error_of([&] { start_from_safetensors(folder_ / "t", p, w, names); }); };
  EXPECT_THAT(error({{"key", "in_porj"}}).text(), HasSubstr("did you mean 'in_proj'"));
  EXPECT_THAT(error({{"kye", "w_ih"}}).text(), HasSubstr("did you mean 'key'"));
  EXPECT_THAT(error({{"key", "in_proj[5:7]"}}).text(), HasSubstr("'in_proj' has 6 rows, and [5:7] of them are wanted for 'key'"));
  EXPECT_THAT(error({{"key", "in_proj"}}).text(), HasSubstr("'key' has 18 values, the model's (2, 3)"));
  for (const char* wrong : {"", "w_ih[", "w_ih[1]", "w_ih[2:1]", "[0:1]"}) EXPECT_EQ(testing::error_of([&] { check_taken_from("key", wrong); }).fault(), Fault::kJob) << wrong;
  folder_.write("t", file_of(R"({"key":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}})", std::string(24, '\0')));
  EXPECT_THAT(error({}).text(), HasSubstr("'key' is (3, 2), the model's (2, 3)")) << "the other way round";
}

}  // namespace
}  // namespace throng::train
