#include "launch_once.hpp"

#include "runtime_impl.hpp"
#include "work_buffer.hpp"

namespace isofold::tools {

std::vector<std::vector<std::byte>> launch_once(const Runtime& runtime, const Problem& problem,
                                                std::int64_t rows,
                                                std::span<const std::span<const std::byte>> inputs) {
  const Spec& spec = problem.spec;
  const WorkQueue queue(runtime.impl()->store().target());
  std::vector<WorkBuffer> buffers;
  buffers.reserve(spec.inputs.size() + spec.outputs.size());
  std::vector<ConstTensor> from;
  std::vector<MutableTensor> to;
  for (const std::span<const std::byte> input : inputs) {
    const WorkBuffer& buffer = buffers.emplace_back(queue, input.size());
    buffer.upload(input.data(), input.size());
    from.push_back({buffer.data(), 0});
  }
  for (const Output& output : spec.outputs) {
    const std::int64_t elements = rows * row_elements(spec, output.extent);
    const WorkBuffer& buffer =
        buffers.emplace_back(queue, static_cast<std::size_t>(elements) * size_of(output.dtype));
    buffer.fill(0xa5);
    to.push_back({buffer.data(), 0});
  }
  queue.synchronize();
  runtime.make_operator(spec, problem.fold).launch(queue.stream(), from, to, rows);
  std::vector<std::vector<std::byte>> results;
  for (std::size_t o = 0; o < spec.outputs.size(); ++o) {
    const WorkBuffer& buffer = buffers[spec.inputs.size() + o];
    results.emplace_back(buffer.bytes());
    buffer.download(results.back().data(), buffer.bytes());
  }
  return results;
}

}  // namespace isofold::tools
