#pragma once
#include <isofold/codegen/dtype.hpp>
#include <isofold/codegen/plan.hpp>
#include <isofold/runtime.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "operator_options.hpp"

namespace isofold::tools {

/// A function over rows, whoever wrote it: what `isofold probe` looks into. Not thread-safe.
class Callable {
 public:
  virtual ~Callable() = default;
  Callable() = default;
  Callable(const Callable&) = delete;
  Callable& operator=(const Callable&) = delete;

  /// One call over `tokens` rows of `n` numbers each, which its dtype can hold. The bits of every row's results, one after the
  /// other: as many for each row, 1 or more, each a number widened exactly to binary64. Throws UsageError when it cannot be
  /// called.
  virtual std::vector<double> call(std::span<const float> rows, std::int64_t tokens, std::int64_t n) = 0;
  /// Of the numbers in a row, and of the results.
  virtual DType dtype() const = 0;
  /// What is called, for people.
  virtual std::string name() const = 0;
};

/// A C function of a shared library. `form`: "rows", void f(const T* x, T* y, int64_t rows, int64_t n) that writes one number a
/// row, or "value", T f(const T* x, size_t n). T is float or double. UsageError when there is no such library or symbol.
std::unique_ptr<Callable> library_callable(const std::string& path, const std::string& symbol, const std::string& form,
                                           DType dtype);

/// A Python function of an array of [rows, n], "file.py:function" or "module:function", called by the first python3 on PATH.
/// `arrays`: torch, numpy or list. `device`: cpu or cuda, of torch's tensors. UsageError with Python's own words when it cannot
/// be loaded.
std::unique_ptr<Callable> python_callable(const std::string& function, const std::string& arrays, const std::string& device,
                                          DType dtype);

/// Isofold's operator as it is launched, or one schedule of it. It reads rows of x alone; of its other row and column inputs all
/// elements are 1. UsageError when it has inputs of other extents.
std::unique_ptr<Callable> operator_callable(const Runtime& runtime, const Problem& problem,
                                            const std::optional<Plan>& plan = std::nullopt);

}  // namespace isofold::tools
