#include "probe.hpp"

#include <isofold/codegen/digest.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstring>
#include <string_view>

#include "work_buffer.hpp"

namespace isofold {
namespace {

constexpr std::string_view probe_text =
    "numerics_probe N=64 (left: f32[row], right: f32[row], third: f32[row], half: f16[row], brain: "
    "bf16[row], quarter: e4m3[row], whole: i8[row]) {"
    " total = sum(mul(left, right));"
    " summed: f32 = add(total, third);"
    " added: f32 = add(left, right);"
    " product: f32 = mul(left, right);"
    " fused: f32 = fma(left, right, third);"
    " quotient: f32 = div(left, right);"
    " root: f32 = sqrt(left);"
    " inverse: f32 = div(1, left);"
    " eighth: f32 = div(left, 8);"
    " rounded_bf16: f32 = bf16(left);"
    " rounded_f16: f32 = f16(left);"
    " to_bf16: bf16 = mul(left, 1);"
    " to_f16: f16 = mul(left, 1);"
    " from_f16: f32 = add(half, 0);"
    " from_bf16: f32 = add(brain, 0);"
    " from_e4m3: f32 = add(quarter, 0);"
    " from_i8: f32 = add(whole, 0);"
    " to_e4m3: e4m3 = mul(half, 1);"
    " to_i8: i8 = mul(half, 16);"
    " larger: f32 = max(left, right);"
    " smaller: f32 = min(left, right);"
    " negative_part: f32 = where(less(left, 0), left, 0);"
    " from_integer: f32 = from_int(bits(left));"
    " both_patterns: f32 = from_bits(and(bits(left), bits(right)));"
    " logarithm: f32 = log(left);"
    " largest: f32 = reduce_max(left);"
    " smallest: f32 = reduce_min(left) }";

/// Binary32 patterns at which roundings, flushing and special cases show.
constexpr std::array<std::uint32_t, 40> special{
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x00000003, 0x007fffff, 0x807fffff, 0x00800000,
    0x80800000, 0x00800001, 0x01000000, 0x0cffffff, 0x1f7fffff, 0x20000000, 0x33000000, 0x33000001,
    0x33800000, 0x387fc000, 0x387fe000, 0x38800000, 0x3c003000, 0x3eaaaaab, 0x3f7fffff, 0x3f800000,
    0xbf800000, 0x3f800001, 0x3f808000, 0x3f818000, 0x3fb504f3, 0x40490fdb, 0x477fefff, 0x477ff000,
    0x5f7fffff, 0x7e967699, 0x7f7f7fff, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000};

std::uint64_t next(std::uint64_t& state) {  // SplitMix64
  std::uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Binary32 of either sign with an exponent from 127 - 8 to 127 + 7.
std::uint32_t moderate(std::uint64_t& state) {
  const std::uint64_t random = next(state);
  return static_cast<std::uint32_t>((random & 0x807fffff) | ((119 + (random >> 32) % 16) << 23));
}

}  // namespace

Plan probe_plan(const DeviceTraits& device) {
  const Fold fold{.leaf = 1, .lanes = 32, .segments = 1};
  Schedule schedule = GpuSchedule{.threads_per_row = 32};
  if (device.kind == DeviceTraits::Kind::cpu) schedule = CpuSchedule{.width = device.vector_width};
  return make_plan(parse_spec(probe_text), fold, schedule, device).value();
}

std::vector<std::vector<std::byte>> probe_inputs() {
  constexpr std::size_t rows = probe_tokens, n = 64, elements = rows * n;
  constexpr std::size_t pairs = special.size() * special.size(), any_bits = pairs + 1024;
  std::vector<std::vector<std::byte>> inputs;
  for (std::size_t size : {4, 4, 4, 2, 2, 1, 1}) inputs.emplace_back(elements * size);
  const auto put = [&](std::size_t tensor, std::size_t element, std::uint32_t bits) {
    const std::size_t size = inputs[tensor].size() / elements;
    std::memcpy(inputs[tensor].data() + size * element, &bits, size);  // the low bytes
  };
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < elements; ++i) {
    if (i < pairs) {
      put(0, i, special[i / special.size()]);
      put(1, i, special[i % special.size()]);
      put(2, i, special[next(state) % special.size()]);
    } else if (i < any_bits) {
      for (std::size_t tensor = 0; tensor < 3; ++tensor)
        put(tensor, i, static_cast<std::uint32_t>(next(state)));
    } else if (i % 2 == 0) {
      for (std::size_t tensor = 0; tensor < 3; ++tensor) put(tensor, i, moderate(state));
    } else {
      // Products just above 1 less 1: a fused and an unfused multiply-add differ in nearly every one.
      put(0, i, 0x3f800000 + static_cast<std::uint32_t>(next(state) % 4096));
      put(1, i, 0x3f800000 + static_cast<std::uint32_t>(next(state) % 4096));
      put(2, i, 0xbf800000);
    }
    put(3, i, static_cast<std::uint32_t>(16 * i + i / 256));
    put(4, i, static_cast<std::uint32_t>(16 * i + i / 256));
    put(5, i, static_cast<std::uint32_t>(i));
    put(6, i, static_cast<std::uint32_t>(i));
  }
  return inputs;
}

const std::vector<std::string>& probe_digests() {
  // Computed by the oracle; tests/invariance/operator_test.cpp computes them again.
  static const std::vector<std::string> digests{
      "21a5f81b9669cac4d6b671c306f19d84",  // summed
      "ea05762cc8e6977a5878e2f8b6b0ea6e",  // added
      "6acc0dd1dae33fa4e2685704d3d2204d",  // product
      "394a1b7da0258fe950007b13b0a3224f",  // fused
      "15cf7ba405161c46b5057c55d8d92b66",  // quotient
      "cb9fb645542be4ffdbfa965bbe10179e",  // root
      "ed5fb2afaf3af2d85a01fae7e15de3d0",  // inverse
      "2c533dc373c3df85cc6dd2a7cc6944a2",  // eighth
      "5c969852e013b34ba2027c225badf2d3",  // rounded_bf16
      "7aecf8536ff6b0086d9a879f79c327a9",  // rounded_f16
      "1e81cb951e920d53942baa1a07c02f18",  // to_bf16
      "dc4935e4d67a4abfc381ee991bdfa920",  // to_f16
      "1d3933117b751343bfb7f0a8144605e0",  // from_f16
      "7b6a5750d4f40c338860dedb9276e204",  // from_bf16
      "a808f9d38db64ca95ea346886a1f3309",  // from_e4m3
      "01a622dba1db8ab7aed13b68df7ee7ef",  // from_i8
      "ab8d491450c5c8d6b90719a83cb4a3f0",  // to_e4m3
      "5a8bbdbdb779a2d3bc1abef5e691287b",  // to_i8
      "81d770118dc46d180c0a18d0c6e1a560",  // larger
      "34ad4da25c7a6aad887dce4699b8bdea",  // smaller
      "decf9e7117d39072e5b0ea7058c90c69",  // negative_part
      "9f4ae79d0c295a7c82011c1a727a9d77",  // from_integer
      "44731e3d2911a85e3ca2146e1c0010ff",  // both_patterns
      "032aed2729f1f6ac30883daaa550233e",  // logarithm
      "c35acf9090fdab483f366b7c64fa2600",  // largest
      "94901e4d885798bc089b928b2529764a",  // smallest
  };
  return digests;
}

void check_probe(const Kernel& kernel, const KernelTarget& target) {
  const Spec& spec = kernel.plan().spec();
  const ArgumentLayout layout(spec);
  const std::vector<std::vector<std::byte>> inputs = probe_inputs();
  std::vector<std::vector<std::byte>> outputs;
  for (const Output& output : spec.outputs)
    outputs.emplace_back(static_cast<std::size_t>(probe_tokens * row_elements(spec, output.extent)) * size_of(output.dtype));

  const WorkQueue queue(target);
  std::vector<WorkBuffer> buffers;
  std::vector<ConstTensor> input_tensors;
  std::vector<MutableTensor> output_tensors;
  for (const auto& bytes : inputs) {
    buffers.emplace_back(queue, bytes.size()).upload(bytes.data(), bytes.size());
    input_tensors.push_back({buffers.back().data()});
  }
  for (const auto& bytes : outputs)
    output_tensors.push_back({buffers.emplace_back(queue, bytes.size()).data()});
  Parameters parameters;
  layout.bind(input_tensors, output_tensors, probe_tokens, parameters);
  kernel.launch(queue.stream(), parameters, probe_tokens);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    buffers[inputs.size() + i].download(outputs[i].data(), outputs[i].size());

  std::vector<std::string> wrong;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (digest({reinterpret_cast<const char*>(outputs[i].data()), outputs[i].size()}) != probe_digests()[i])
      wrong.push_back(spec.outputs[i].name);
  if (!wrong.empty())
    throw UsageError(
        fmt::format("{} fails the numerics probe: other bits than IEEE 754 asks for in {}; no result of "
                    "this device would be the promised one, so it is not used",
                    kernel.plan().device().name, fmt::join(wrong, ", ")));
}

}  // namespace isofold
