#include "time_unit.hpp"

#include <algorithm>
#include <cmath>

namespace isofold::tools {

TimeUnit time_unit(const BenchResult& result) {
  double least = 1e300, most = 0;
  for (const BenchLine& line : result.lines)
    for (const std::vector<double>* times : {&line.kernel, &line.call})
      for (const double time : *times)
        if (time > 0) least = std::min(least, time), most = std::max(most, time);
  return most > 0 && std::sqrt(least) * std::sqrt(most) >= 1000 ? TimeUnit::milliseconds : TimeUnit::microseconds;
}

std::string_view name_of(TimeUnit unit) { return unit == TimeUnit::milliseconds ? "ms" : "µs"; }

double in_unit(double microseconds, TimeUnit unit) {
  return unit == TimeUnit::milliseconds ? microseconds * 1e-3 : microseconds;
}

std::string time_number(double microseconds, TimeUnit unit) {
  const double value = in_unit(microseconds, unit);
  const int digits_before = value > 0 ? static_cast<int>(std::floor(std::log10(value * 1.0005))) + 1 : 1;
  return fmt::format("{:.{}f}", value, std::clamp(3 - digits_before, 0, 6));
}

}  // namespace isofold::tools
