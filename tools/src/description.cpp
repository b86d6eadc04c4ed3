#include "description.hpp"

#include <isofold/codegen/cost_model.hpp>

#include <fmt/chrono.h>

#include <ctime>

#include "runtime_impl.hpp"

namespace isofold::tools {

BenchResult description_of(const Runtime& runtime, const Problem& problem) {
  BenchResult result;
  result.title = title_of(problem.spec);
  result.spec = text(problem.spec);
  result.fold = text(problem.fold);
  result.bits_id = bits_id(problem.spec, problem.fold);
  result.device = runtime.device_name();
  result.device_name = runtime.device().name;
  result.environment = runtime.impl()->environment();
  result.date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)));
  result.gpu = runtime.impl()->is_gpu();
  result.bytes_per_token = bytes_moved(problem.spec, 2) - bytes_moved(problem.spec, 1);
  return result;
}

}  // namespace isofold::tools
