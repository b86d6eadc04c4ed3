#include <isofold/codegen/layer_norm.hpp>
#include <isofold/codegen/operators.hpp>
#include <isofold/codegen/quantize.hpp>
#include <isofold/codegen/rms_norm.hpp>
#include <isofold/codegen/row_reduction.hpp>
#include <isofold/codegen/softmax.hpp>

namespace isofold {
namespace {

template <RowReduction REDUCTION>
Spec reduced(std::int64_t n, DType dtype) {
  return row_reduction({.reduction = REDUCTION, .n = n, .dtype = dtype});
}

constexpr NamedOperator all[] = {
    {"rms_norm", "x / sqrt(mean(x^2) + eps) * weight", [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d}); }},
    {"add_rms_norm", "the same of x + residual, which is stored",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .residual = true}); }},
    {"gated_rms_norm", "rms_norm(x) * silu(gate)",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .gated = true}); }},
    {"rms_norm_quant", "rms_norm in e4m3 with a scale per row",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .quantize = Quantize{}}); }},
    {"rms_norm_quant_i8", "rms_norm in i8 with a scale per row",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .quantize = Quantize{.dtype = DType::i8}}); }},
    {"rms_norm_static_quant", "rms_norm in e4m3 with one scale for all rows",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .quantize = Quantize{.scale_input = true}}); }},
    {"add_rms_norm_quant", "add_rms_norm in e4m3 with a scale per row",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .residual = true, .quantize = Quantize{}}); }},
    {"silu_and_mul_quant", "silu(gate) * up in e4m3 with a scale per row",
     [](std::int64_t n, DType d) { return silu_and_mul_quant({.n = n, .dtype = d, .quantize = {}}); }},
    {"silu_and_mul_static_quant", "silu(gate) * up in e4m3 with one scale for all rows",
     [](std::int64_t n, DType d) { return silu_and_mul_quant({.n = n, .dtype = d, .quantize = {.scale_input = true}}); }},
    {"head_rms_norm", "rms_norm of 16 heads of n elements each that share a weight, inside rows of any stride",
     [](std::int64_t n, DType d) { return rms_norm({.n = n, .dtype = d, .groups = 16, .shared_weight = true}); }},
    {"group_norm", "layer_norm of 8 groups of n elements each, with weights of their own",
     [](std::int64_t n, DType d) { return layer_norm({.n = n, .dtype = d, .groups = 8}); }},
    {"layer_norm", "(x - mean) / sqrt(variance + eps) * weight + bias",
     [](std::int64_t n, DType d) { return layer_norm({.n = n, .dtype = d}); }},
    {"add_layer_norm", "the same of x + residual, which is stored",
     [](std::int64_t n, DType d) { return layer_norm({.n = n, .dtype = d, .residual = true}); }},
    {"softmax", "exp(x - max) / sum(exp(x - max))", [](std::int64_t n, DType d) { return softmax({.n = n, .dtype = d}); }},
    {"log_softmax", "x - max - log(sum(exp(x - max)))",
     [](std::int64_t n, DType d) { return softmax({.n = n, .dtype = d, .log = true}); }},
    {"masked_softmax", "softmax of the first elements of a row, as many as the token's length says",
     [](std::int64_t n, DType d) { return softmax({.n = n, .dtype = d, .length = true}); }},
    {"sink_softmax", "softmax with an attention sink",
     [](std::int64_t n, DType d) { return softmax({.n = n, .dtype = d, .sink = true}); }},
    {"cross_entropy", "logsumexp(x) - x[target], and the logsumexp",
     [](std::int64_t n, DType d) { return cross_entropy({.n = n, .dtype = d}); }},
    {"sum", "one number per row", reduced<RowReduction::sum>},
    {"mean", "sum / N", reduced<RowReduction::mean>},
    {"max", "the largest element", reduced<RowReduction::max>},
    {"min", "the smallest element", reduced<RowReduction::min>},
    {"amax", "the largest magnitude", reduced<RowReduction::amax>},
    {"sum_of_squares", "sum(x^2)", reduced<RowReduction::sum_of_squares>},
    {"norm2", "sqrt(sum(x^2))", reduced<RowReduction::norm2>},
    {"logsumexp", "log(sum(exp(x)))", reduced<RowReduction::logsumexp>},
};

}  // namespace

std::span<const NamedOperator> named_operators() { return all; }

}  // namespace isofold
