#include "exact_results.hpp"

#include <isofold/codegen/functions.hpp>
#include <isofold/error.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string>

#include "raw_rows.hpp"
#include "result_error.hpp"

using namespace isofold;
using namespace isofold::testing;
using tools::exact_results;

namespace {

/// The first output for one row of f32.
std::vector<long double> exact(const std::string& name, const std::vector<float>& x,
                               std::vector<Bytes> more = {}) {
  std::vector<Bytes> inputs = {bytes_of(x)};
  for (Bytes& bytes : more) inputs.push_back(std::move(bytes));
  return exact_results(named_spec(name, static_cast<std::int64_t>(x.size()), DType::f32), 1, inputs)[0];
}

Bytes whole(std::int32_t value) {
  Bytes bytes(4);
  std::memcpy(bytes.data(), &value, 4);
  return bytes;
}

bool near(long double a, long double b) { return std::fabs(a - b) <= 1e-17L * std::fabs(b); }

}  // namespace

TEST_CASE("reductions of whole numbers are exact") {
  std::vector<float> x;
  for (int i = 1; i <= 1000; ++i) x.push_back(static_cast<float>(i % 2 ? i : -i));
  const std::map<std::string, long double> wanted = {{"sum", -500},
                                                     {"mean", -0.5L},
                                                     {"max", 999},
                                                     {"min", -1000},
                                                     {"amax", 1000},
                                                     {"sum_of_squares", 333833500},
                                                     {"norm2", std::sqrt(333833500.0L)}};
  for (const auto& [name, value] : wanted) {
    CAPTURE(name);
    CHECK(exact(name, x)[0] == value);
  }
  CHECK(near(exact("logsumexp", std::vector<float>(256, 3))[0], 3 + 8 * std::log(2.0L)));
}

TEST_CASE("a sum keeps what its additions lose") {
  CHECK(exact("sum", {0x1p100f, 1, -0x1p100f, 0x1p-60f})[0] == 1 + 0x1p-60L);
}

TEST_CASE("softmax: ties, a mask, a sink") {
  for (const long double y : exact("softmax", std::vector<float>(7, -1e30f))) CHECK(near(y, 1.0L / 7));
  const auto masked = exact("masked_softmax", {2, 2, 50}, {whole(2)});
  CHECK(masked == std::vector<long double>{0.5L, 0.5L, 0});
  CHECK(near(exact("sink_softmax", {1, 1, 1}, {bytes_of({1})})[0], 0.25L));
  CHECK(near(exact("log_softmax", {5, 5})[1], -std::log(2.0L)));
  CHECK(near(exact("cross_entropy", {0, 0, 0, 0}, {whole(3)})[0], 2 * std::log(2.0L)));
}

TEST_CASE("what a Spec rounds is not rounded") {
  const Spec spec = parse_spec("t N=2 (x: f32[row]) { y: f32 = sum(bf16(x)) }");
  CHECK(exact_results(spec, 1, std::vector<Bytes>{bytes_of({1.0f, 0x1p-20f})})[0][0] == 1 + 0x1p-20L);
}

TEST_CASE("every function has an exact form, and its definition is within an ulp of it") {
  for (const Function& function : functions()) {
    CAPTURE(function.name);
    const bool negative = function.name == "exp_nonpositive";
    std::vector<float> x;
    for (int i = 0; i < 4000; ++i) x.push_back(static_cast<float>(i - (negative ? 4000 : 2000)) * 0.00731f);
    const Spec spec = parse_spec(
        fmt::format("t N={} (x: f32[row]) {{ total: f32 = sum(x); y: f32 = {}(x) }}", x.size(), function.name));
    const std::vector<Bytes> inputs = {bytes_of(x)};
    const auto error =
        tools::result_error(DType::f32, spec.n, tools::ErrorUnit::of_element,
                            exact_results(spec, 1, inputs)[1], interpreted(spec, 1, inputs)[1].data());
    CHECK(error.largest < 1);
    CHECK(error.mean > 0);
  }
}

TEST_CASE("bit patterns have no exact meaning") {
  const Spec spec = parse_spec("t N=2 (x: f32[row]) { y: f32 = sum(from_bits(bits(x))) }");
  CHECK_THROWS_AS(exact_results(spec, 1, std::vector<Bytes>{bytes_of({1, 2})}), UsageError);
}

TEST_CASE("which results may be what is left of larger numbers") {
  const std::map<std::string, bool> wanted = {{"rms_norm", false},
                                              {"gated_rms_norm", false},
                                              {"softmax", false},
                                              {"norm2", false},
                                              {"max", false},
                                              {"mean", true},
                                              {"sum", true},
                                              {"log_softmax", true},
                                              {"layer_norm", true},
                                              {"amax", false},
                                              {"sum_of_squares", false},
                                              {"sink_softmax", false},
                                              {"cross_entropy", true}};
  for (const auto& [name, cancels] : wanted)
    for (const DType dtype : {DType::bf16, DType::f32}) {  // an f32 softmax adds what the rounding of its inverse took
      CAPTURE(name);
      const Spec spec = named_spec(name, 64, dtype);
      CHECK(tools::may_cancel(spec, spec.outputs[0].value) == cancels);
    }
}
