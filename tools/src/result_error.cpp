#include "result_error.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "element.hpp"
#include "exact_results.hpp"

namespace isofold::tools {
namespace {

using Real = long double;

constexpr double noise_share = 1.05, noise_ulp = 0.01;

Real error_of(Real exact, Real actual, Real unit, Real overflow) {
  constexpr Real far = std::numeric_limits<Real>::infinity();
  if (std::isnan(exact) || std::isnan(actual)) return std::isnan(exact) && std::isnan(actual) ? 0 : far;
  if (std::isinf(actual))
    return std::fabs(exact) >= overflow && std::signbit(exact) == std::signbit(actual) ? 0 : far;
  return std::isinf(exact) ? far : std::fabs(actual - exact) / unit;
}

Real largest_finite(std::span<const Real> exact) {
  Real largest = 0;
  for (const Real value : exact)
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  return largest;
}

ResultError summary(std::vector<double> errors) {
  if (errors.empty()) return {};
  const auto mean = [](auto first, auto last) {
    return std::accumulate(first, last, 0.0) / static_cast<double>(last - first);
  };
  const auto worst = errors.begin() + static_cast<std::ptrdiff_t>((errors.size() + 99) / 100);
  std::nth_element(errors.begin(), worst - 1, errors.end(), std::greater<>());
  return {*std::max_element(errors.begin(), worst), mean(errors.begin(), worst),
          mean(errors.begin(), errors.end())};
}

}  // namespace

ErrorUnit error_unit(const Spec& spec, const Output& output) {
  return may_cancel(spec, output.value) ? ErrorUnit::of_row : ErrorUnit::of_element;
}

ResultError result_error(DType dtype, std::int64_t row_elements, ErrorUnit unit,
                         std::span<const long double> exact, const std::byte* actual) {
  const Real overflow = overflow_threshold(dtype);
  const std::size_t group = row_elements == 1 ? exact.size() : static_cast<std::size_t>(row_elements);
  std::vector<double> errors;
  errors.reserve(exact.size());
  for (std::size_t first = 0; first < exact.size(); first += group) {
    const Real row_unit = unit_in_last_place(dtype, largest_finite(exact.subspan(first, group)));
    for (std::size_t i = first; i < first + group; ++i) {
      const bool own = unit == ErrorUnit::of_element && std::isfinite(exact[i]);
      errors.push_back(static_cast<double>(
          error_of(exact[i], element(actual, dtype, static_cast<std::int64_t>(i)),
                   own ? unit_in_last_place(dtype, std::fabs(exact[i])) : row_unit, overflow)));
    }
  }
  return summary(std::move(errors));
}

ResultError quantised_error(DType dtype, std::int64_t row_elements, std::span<const long double> exact, const std::byte* actual,
                            const std::optional<RowScales>& scales) {
  const bool e4m3 = dtype == DType::e4m3;
  const Real least = e4m3 ? -448 : -128, most = e4m3 ? 448 : 127;
  std::vector<double> errors;
  errors.reserve(exact.size());
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const std::size_t row = i / static_cast<std::size_t>(row_elements);
    const Real scale = scales ? element(scales->actual, DType::f32, static_cast<std::int64_t>(row)) / scales->exact[row] : 1;
    const Real wanted = std::isnan(exact[i]) ? exact[i] : std::clamp(exact[i], least, most);
    const Real step = e4m3 ? unit_in_last_place(dtype, std::fabs(wanted)) : 1;
    errors.push_back(static_cast<double>(error_of(wanted, scale * element(actual, dtype, static_cast<std::int64_t>(i)), step,
                                                  std::numeric_limits<Real>::infinity())));
  }
  return summary(std::move(errors));
}

bool never_worse(const ResultError& ours, const ResultError& theirs) {
  const auto within = [](double our, double their) {
    return our <= std::max(their * noise_share, their + noise_ulp);
  };
  return within(ours.worst_hundredth, theirs.worst_hundredth) && within(ours.mean, theirs.mean);
}

}  // namespace isofold::tools
