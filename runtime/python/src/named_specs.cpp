#include "named_specs.hpp"

#include <isofold/codegen/named_spec.hpp>
#include <isofold/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace isofold::python {
namespace nb = nanobind;
namespace {

constexpr std::pair<std::string_view, std::string_view> other_names[] = {
    {"float32", "f32"},        {"bfloat16", "bf16"}, {"float16", "f16"},
    {"float8_e4m3fn", "e4m3"}, {"int8", "i8"},       {"float64", "f64"}};

/// Isofold's name of a dtype that is named as NumPy and PyTorch do, or is theirs (NumPy's are types, too: numpy.float32); any
/// other name as it is.
std::string dtype_name(nb::handle dtype) {
  std::string name = nb::str(PyType_Check(dtype.ptr()) ? dtype.attr("__name__") : nb::borrow(dtype)).c_str();
  if (name.starts_with("torch.")) name.erase(0, 6);
  for (const auto& [other, ours] : other_names)
    if (name == other) return std::string(ours);
  return name;
}

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && letter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// Python's, or NumPy's.
bool is_bool(nb::handle value) {
  const std::string type = nb::str(value.type().attr("__name__")).c_str();
  return type == "bool" || type == "bool_";
}

/// A number as named_spec reads it; "" for what is none. In binary32, so that it is rounded as Python's double would be.
std::string number_text(nb::handle value) {
  if (PyIndex_Check(value.ptr()) && !PyFloat_Check(value.ptr())) {
    if (const nb::object index = nb::steal(PyNumber_Index(value.ptr())); index.is_valid()) return nb::str(index).c_str();
    PyErr_Clear();
  }
  double number = 0;
  if (nb::isinstance<nb::str>(value) || !nb::try_cast(value, number)) return {};
  return fmt::format("{}", static_cast<float>(number));
}

/// The word "key=value" of an option: values are True, False, numbers and names. A value with spaces would be read as
/// several options.
std::string option_word(const std::string& op, const std::string& key, nb::handle value) {
  if (!is_name(key)) throw UsageError(fmt::format("{}: no option is called \"{}\"", op, key));
  if (is_bool(value)) return key + (PyObject_IsTrue(value.ptr()) == 1 ? "=on" : "=off");
  if (const std::string number = number_text(value); !number.empty()) return key + "=" + number;
  const std::string name = key.ends_with("dtype") ? dtype_name(value) : nb::str(value).c_str();
  if (!is_name(name))
    throw nb::type_error(fmt::format("{}: {} is {}, it must be True, False, a number or a name", op, key,
                                     nb::repr(value).c_str())
                             .c_str());
  return key + "=" + name;
}

}  // namespace

Spec spec_by_name(const std::string& op, std::int64_t n, nb::handle dtype, const nb::dict& options) {
  std::string words;
  for (const auto& [key, value] : options)
    if (!value.is_none()) words += (words.empty() ? "" : " ") + option_word(op, nb::str(key).c_str(), value);
  return named_spec(op, n, named_dtype(dtype_name(dtype)), words);
}

}  // namespace isofold::python
