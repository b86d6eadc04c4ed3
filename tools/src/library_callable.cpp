#include <fmt/format.h>

#include <isofold/error.hpp>

#include "callable.hpp"
#include "dynamic_library.hpp"

namespace isofold::tools {
namespace {

template <class Number>
class LibraryCallable final : public Callable {
 public:
  LibraryCallable(const std::string& path, std::string symbol, bool rows)
      : library_(path), symbol_(std::move(symbol)), rows_(rows), function_(library_.find(symbol_.c_str())) {
    if (function_ == nullptr) throw UsageError(fmt::format("{} has no symbol {}", library_.path(), symbol_));
  }

  std::vector<double> call(std::span<const float> rows, std::int64_t tokens, std::int64_t n) override {
    const std::vector<Number> x(rows.begin(), rows.end());
    std::vector<Number> y(static_cast<std::size_t>(tokens));
    if (rows_) {
      reinterpret_cast<void (*)(const Number*, Number*, std::int64_t, std::int64_t)>(function_)(x.data(), y.data(), tokens, n);
    } else {
      const auto sum = reinterpret_cast<Number (*)(const Number*, std::size_t)>(function_);
      for (std::size_t row = 0; row < y.size(); ++row)
        y[row] = sum(x.data() + row * static_cast<std::size_t>(n), static_cast<std::size_t>(n));
    }
    return {y.begin(), y.end()};
  }
  DType dtype() const override { return sizeof(Number) == sizeof(double) ? DType::f64 : DType::f32; }
  std::string name() const override { return fmt::format("{} of {}", symbol_, library_.path()); }

 private:
  DynamicLibrary library_;
  std::string symbol_;
  bool rows_;
  void* function_;
};

}  // namespace

std::unique_ptr<Callable> library_callable(const std::string& path, const std::string& symbol, const std::string& form,
                                           DType dtype) {
  const bool rows = form == "rows";
  if (dtype == DType::f32) return std::make_unique<LibraryCallable<float>>(path, symbol, rows);
  if (dtype == DType::f64) return std::make_unique<LibraryCallable<double>>(path, symbol, rows);
  throw UsageError(fmt::format("--dtype {}: functions of a library take f32 or f64", name_of(dtype)));
}

}  // namespace isofold::tools
