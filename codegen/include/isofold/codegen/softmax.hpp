#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <optional>

namespace ISOFOLD_API isofold {

/// y = exp(z - max(z)) / sum(exp(z - max(z))) over rows of n elements, or with `log` z - max(z) - log(sum(exp(z - max(z)))),
/// where z = x, times `scale`, divided by the token's temperature, -inf from the token's length on. The quotient is a product
/// with the correctly rounded inverse of the sum. Rows whose largest z is -inf or +inf, or that have a NaN, give NaN where
/// the formula does.
struct SoftmaxOptions {
  std::int64_t n = 0;
  DType dtype = DType::bf16;                 // of x
  std::optional<DType> output_dtype = {};    // of y; x's when absent
  bool log = false;
  float scale = 1;                           // finite
  bool temperature = false;                  // one binary32 number per token
  bool length = false;                       // one i32 per token: what is below 0 counts as 0, above n as n
  bool sink = false;                         // one binary32 number per token, an element of the row without an output
  bool operator==(const SoftmaxOptions&) const = default;
};

/// The Spec named softmax or log_softmax. Inputs in order: x, [temperature], [length], [sink]; output: y. Throws UsageError
/// for n outside 0..max_row_length, a scale that is not finite and a sink of log_softmax.
Spec softmax(const SoftmaxOptions& options);

/// loss = logsumexp(x) - x[target], for rows of n elements (classes).
struct CrossEntropyOptions {
  std::int64_t n = 0;
  DType dtype = DType::bf16;  // of x
  bool operator==(const CrossEntropyOptions&) const = default;
};

/// The Spec named cross_entropy. Inputs: x [tokens, n], target [tokens] i32; outputs: loss [tokens] f32, logsumexp [tokens]
/// f32. The loss of a negative target is 0 (it is ignored), that of a target of n or more NaN. Throws UsageError for n
/// outside 0..max_row_length.
Spec cross_entropy(const CrossEntropyOptions& options);

}  // namespace isofold
