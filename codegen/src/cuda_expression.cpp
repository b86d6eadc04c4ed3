#include "cuda_expression.hpp"

#include <isofold/error.hpp>

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "code_writer.hpp"

namespace isofold {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// 1 / value when that is exact and finite, so that a division can be a multiplication with the same result; else 0.
double exact_reciprocal(double value) {
  int exponent = 0;
  const bool power_of_two = std::isfinite(value) && std::abs(std::frexp(value, &exponent)) == 0.5;
  return power_of_two && exponent > -120 && exponent < 120 ? 1.0 / value : 0.0;
}


}  // namespace

std::string CudaExpression::literal(double value, bool wide) {
  if (std::isinf(value))
    return fmt::format("{}{}", value > 0 ? "" : "-", wide ? "__hiloint2double(0x7ff00000, 0)" : "__int_as_float(0x7f800000)");
  const char* const suffix = wide ? "" : "f";
  if (value == std::floor(value) && std::abs(value) < 1e6 && !(value == 0 && std::signbit(value)))
    return fmt::format("{:.1f}{}", value, suffix);
  return wide ? fmt::format("{:a}", value) : fmt::format("{:a}f", static_cast<float>(value));
}

const char* CudaExpression::type(int index) const {
  const Type type = types_[at(index)];
  return type == Type::f32 ? helpers_.real() : type == Type::i32 ? "int" : "bool";
}

/// Integers wrap around, which C++ promises of unsigned ones only.
std::string CudaExpression::printed_integers(const Node& node) const {
  const auto wrapped = [&](char sign) {
    return fmt::format("(int)((unsigned){} {} (unsigned){})", print(node.a), sign, print(node.b));
  };
  switch (node.op) {
    case Op::add: return wrapped('+');
    case Op::sub: return wrapped('-');
    case Op::mul: return wrapped('*');
    case Op::both: return fmt::format("({} & {})", print(node.a), print(node.b));
    case Op::either: return fmt::format("({} | {})", print(node.a), print(node.b));
    case Op::shift_left: return fmt::format("(int)((unsigned){} << {})", print(node.a), print(node.b));
    case Op::shift_right: return fmt::format("({} >> {})", print(node.a), print(node.b));
    default: throw InternalError("an operation that integers do not have");
  }
}

std::string CudaExpression::printed_division(const Node& node) const {
  const char kind = helpers_.is_wide() ? 'd' : 'f';
  const Node& by = nodes_[at(node.b)];
  if (by.op == Op::constant && exact_reciprocal(by.value) != 0)
    return fmt::format("__{}mul_rn({}, {})", kind, print(node.a), literal(exact_reciprocal(by.value)));
  const Node& of = nodes_[at(node.a)];
  if (of.op == Op::constant && of.value == 1) return fmt::format("__{}rcp_rn({})", kind, print(node.b));
  return fmt::format("__{}div_rn({}, {})", kind, print(node.a), print(node.b));
}

/// Integers, and what integers decide, may become a minimum or a maximum: that is the same number.
std::string CudaExpression::printed_choice(const Node& node) const {
  const Node& condition = nodes_[at(node.a)];
  const bool by_integers = condition.a >= 0 && types_[at(condition.a)] == Type::i32;
  if (types_[at(node.b)] == Type::i32 || by_integers)
    return fmt::format("({} ? {} : {})", print(node.a), print(node.b), print(node.c));
  return fmt::format("{}({}, {}, {})", helpers_.choose(), print(node.a), print(node.b), print(node.c));
}

/// In functions, whose results do not depend on the pattern of a NaN, it is taken as it is.
std::string CudaExpression::printed_bits(const Node& node) const {
  if (in_function_) return fmt::format("__float_as_int({})", print(node.a));
  return fmt::format("{}({})", helpers_.use("bits_of"), print(node.a));
}

std::string CudaExpression::print(int index) const {
  if (const auto found = bound_.find(index); found != bound_.end()) return found->second;
  const Node& node = nodes_[at(index)];
  const auto a = [&] { return print(node.a); };
  const auto b = [&] { return print(node.b); };
  const char kind = helpers_.is_wide() ? 'd' : 'f';
  switch (node.op) {
    case Op::constant: return literal(node.value);
    case Op::integer: return node.integer == INT32_MIN ? "(-2147483647 - 1)" : fmt::format("{}", node.integer);
    case Op::add:
    case Op::sub:
    case Op::mul:
      if (types_[at(index)] == Type::i32) return printed_integers(node);
      return fmt::format("__{}{}_rn({}, {})", kind, node.op == Op::add ? "add" : node.op == Op::sub ? "sub" : "mul", a(), b());
    case Op::fma: return fmt::format("{}({}, {}, {})", helpers_.is_wide() ? "__fma_rn" : "__fmaf_rn", a(), b(), print(node.c));
    case Op::div: return printed_division(node);
    case Op::sqrt: return fmt::format("__{}sqrt_rn({})", kind, a());
    case Op::neg: return fmt::format("-({})", a());
    case Op::abs: return fmt::format("{}({})", helpers_.is_wide() ? "fabs" : "fabsf", a());
    case Op::max: return fmt::format("{}({}, {})", helpers_.extreme("max_or_nan"), a(), b());
    case Op::min: return fmt::format("{}({}, {})", helpers_.extreme("min_or_nan"), a(), b());
    case Op::less: return fmt::format("({} < {})", a(), b());
    case Op::less_equal: return fmt::format("({} <= {})", a(), b());
    case Op::equal: return fmt::format("({} == {})", a(), b());
    case Op::where: return printed_choice(node);
    case Op::both:
    case Op::either:
      if (types_[at(index)] == Type::i32) return printed_integers(node);
      return fmt::format("({} {} {})", a(), node.op == Op::both ? "&&" : "||", b());
    case Op::shift_left:
    case Op::shift_right: return printed_integers(node);
    case Op::bits:
      return printed_bits(node);
    case Op::from_bits: return fmt::format("__int_as_float({})", a());
    case Op::from_int: return fmt::format("__int2float_rn({})", a());
    case Op::round:
      if (node.dtype == DType::f32) return a();
      return fmt::format("{}({})", helpers_.round(node.dtype), a());
    case Op::call: {
      std::string arguments = a();
      for (int operand : {node.b, node.c})
        if (operand >= 0) arguments += ", " + print(operand);
      return fmt::format("{}({})", helpers_.function(node.function), arguments);
    }
    case Op::element: {
      const Tensor& tensor = inputs_[at(node.tensor)];
      return fmt::format("{}({}_row, {}, {})", helpers_.element(tensor.dtype), tensor.name, a(), row_length_);
    }
    case Op::input:
    case Op::index:
    case Op::parameter:
    case Op::sum:
    case Op::reduce_max:
    case Op::reduce_min:
      break;
  }
  throw InternalError(fmt::format("node {} is used where it has no value", index));
}

std::string cuda_function(const Function& function, CudaHelpers& helpers) {
  const std::vector<Tensor> no_inputs;
  CudaExpression expression(function.nodes, no_inputs, function.types, helpers);
  expression.in_function_ = true;
  std::string parameters;
  for (const std::string& parameter : function.parameters)
    parameters += (parameters.empty() ? "float " : ", float ") + parameter;
  CodeWriter code;
  code.comment(fmt::format("{}, as the sequence of exact operations that defines it.", function.name));
  code.open("__device__ __forceinline__ float exact_{}({}) {{", function.name, parameters);
  for (std::size_t i = 0; i < function.nodes.size(); ++i) {
    const Node& node = function.nodes[i];
    const int index = static_cast<int>(i);
    if (node.name.empty() || index == function.result) continue;
    if (node.op != Op::parameter) code.line("const {} {} = {};", expression.type(index), node.name, expression.print(index));
    expression.bind(index, node.name);
  }
  code.line("return {};", expression.print(function.result));
  code.close();
  return code.text();
}

}  // namespace isofold
