#include "host_costs.hpp"

#include <algorithm>
#include <chrono>

#include "bench_timing.hpp"
#include "programs.hpp"
#include "runtime_impl.hpp"

namespace isofold::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int launches_in_a_row =
    500;  // fewer than a stream's queue holds: the host never waits for the device
constexpr int rounds = 9;

constexpr const char* empty_source = "extern \"C\" __global__ void isofold_empty_launch() {}\n";

/// Median of the time per launch, over rounds of launches that nothing waits for.
template <class Launch>
double back_to_back(const WorkQueue& queue, const Launch& launch) {
  std::vector<double> samples;
  for (int round = 0; round < rounds; ++round) {
    queue.synchronize();
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < launches_in_a_row; ++i) launch();
    samples.push_back(1e6 * seconds_since(start) / launches_in_a_row);
  }
  queue.synchronize();
  return summary(std::move(samples)).microseconds;
}

void measure_launches(const Runtime& runtime, const Problem& problem, HostCosts& costs) {
  RuntimeImpl& impl = *runtime.impl();
  const Spec& spec = problem.spec;
  const WorkQueue queue(impl.store().target());
  Operator op = runtime.make_operator(spec, problem.fold);
  const std::int64_t one = 1;
  op.prepare({&one, 1});
  const RotatingCalls calls(impl, spec, one);
  std::vector<ConstTensor> inputs(spec.inputs.size());
  std::vector<MutableTensor> outputs(spec.outputs.size());
  const Parameters& parameters = calls.parameters(0);
  for (std::size_t t = 0; t < inputs.size(); ++t)
    inputs[t].data = reinterpret_cast<const void*>(parameters.values[t]);
  for (std::size_t t = 0; t < outputs.size(); ++t)
    outputs[t].data = reinterpret_cast<void*>(parameters.values[inputs.size() + t]);
  costs.launch = back_to_back(queue, [&] { op.launch(queue.stream(), inputs, outputs, one); });
  if (!impl.is_gpu()) return;
  const Module module(impl.context(),
                      impl.store().cubin(empty_source, "isofold_empty_launch.cu", runtime.device().arch));
  const DeviceFunction function = module.function("isofold_empty_launch");
  LaunchShape shape;
  shape.block[0] = 32;
  costs.empty_launch = back_to_back(queue, [&] { function.launch(queue.stream(), shape, nullptr); });
}

double prepare_time(Operator& op) {
  const std::int64_t one = 1;
  const Clock::time_point start = Clock::now();
  op.prepare({&one, 1});
  return 1e6 * seconds_since(start);
}

void measure_first_use(const Runtime& runtime, const Problem& problem, HostCosts& costs) {
  const TemporaryFolder folder;
  RuntimeOptions options;
  options.device = runtime.device_name();
  options.cache_folder = folder.path();
  const auto first_use = [&] {
    Operator op = Runtime(options).make_operator(problem.spec, problem.fold);
    return prepare_time(op);
  };
  costs.first_use_cold = first_use();
  costs.first_use_disk = first_use();
  Operator warm = runtime.make_operator(problem.spec, problem.fold);
  prepare_time(warm);
  std::vector<double> samples;
  for (int i = 0; i < 1000; ++i) samples.push_back(prepare_time(warm));
  costs.first_use_memory = summary(std::move(samples)).microseconds;
}

}  // namespace

HostCosts measure_host_costs(const Runtime& runtime, const Problem& problem) {
  HostCosts costs;
  measure_launches(runtime, problem, costs);
  measure_first_use(runtime, problem, costs);
  return costs;
}

}  // namespace isofold::tools
