#pragma once
#include <isofold/codegen/spec.hpp>
#include <isofold/export.hpp>

#include <cstdint>
#include <string_view>

namespace ISOFOLD_API isofold {

/// The Spec of a named operator (named_operators) over rows of n elements of x's dtype, with options as a text of
/// `key=value` words: "eps=1e-5 weight_dtype=f32 weight_offset_one=on". An operator takes the fields that its options structure
/// has: norms output_dtype, weight (on, off), weight_dtype, residual_dtype, residual_mode (f32_sum, rounded_sum), eps, groups
/// and shared_weight, rms_norm also weight_mode (f32, after_cast) and weight_offset_one, layer_norm also bias; softmax
/// output_dtype, scale, temperature, length and sink (on, off); row reductions output_dtype; what is quantised quantized_dtype
/// (e4m3, i8) and static_scale (a number that is part of the Spec; on: one scale that each call passes; off: a scale per row).
/// Throws UsageError that says what is allowed for other names, keys and values.
Spec named_spec(std::string_view name, std::int64_t n, DType dtype, std::string_view options = {});

/// The dtype of a named operator's x by its name. Throws UsageError that says what is allowed: all but i32, which is of indices.
DType named_dtype(std::string_view name);

}  // namespace isofold
