#include "accuracy_table.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

using namespace isofold;
using namespace isofold::tools;

namespace {

AccuracyResult result(DType dtype, const char* data, ResultError ours, std::optional<ResultError> pytorch) {
  return {"softmax", 1000, 8, dtype, "y", data, ours, pytorch, pytorch ? "" : "no GPU"};
}

}  // namespace

TEST_CASE("Markdown has a column for each dtype, and a gap where there is nothing") {
  CHECK(markdown_table({result(DType::f32, "normal", {1.5, 1, 0.25}, ResultError{2, 1.5, 0.5}),
                        result(DType::f32, "near-ties", {123.4, 9, 7}, ResultError{2, 1.5, 0.5}),
                        result(DType::bf16, "normal", {0.5, 0.5, 0.25}, std::nullopt)}) ==
        "| operator, N | rows | f32 | PyTorch | bf16 | PyTorch | never worse |\n"
        "|---|---|---|---|---|---|---|\n"
        "| `softmax` 1000 | normal | 1.50, 1.00, 0.25 | 2.00, 1.50, 0.50 | 0.50, 0.50, 0.25 | - | yes |\n"
        "| `softmax` 1000 | near-ties | 123, 9.00, 7.00 | 2.00, 1.50, 0.50 | | | **no** |\n");
}

TEST_CASE("a result passes when it is finite and not worse than what it is compared with") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CHECK(passed(result(DType::f32, "normal", {1, 1, 0.2}, std::nullopt)));
  CHECK_FALSE(passed(result(DType::f32, "normal", {infinity, infinity, infinity}, std::nullopt)));
  CHECK_FALSE(passed(result(DType::f32, "normal", {infinity, infinity, infinity},
                            ResultError{infinity, infinity, infinity})));
  CHECK_FALSE(passed(result(DType::f32, "normal", {3, 3, 1}, ResultError{2, 2, 1})));
  const Json json = to_json(result(DType::bf16, "normal", {infinity, 1, 1}, std::nullopt));
  CHECK(json.at("largest_ulp") == "inf");
  CHECK(json.at("pytorch").is_null());
  CHECK(json.at("pytorch_missing") == "no GPU");
}
