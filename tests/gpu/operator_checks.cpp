#include "operator_checks.hpp"

#include <isofold/codegen/operators.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <set>
#include <string>

#include "device_call.hpp"
#include "parallel.hpp"
#include "runtime_impl.hpp"
#include "support/named_dtypes.hpp"
#include "support/random.hpp"

namespace isofold::testing {
namespace {

constexpr std::int64_t shape_tokens = 3;

std::size_t bytes_of(const std::vector<HostTensor>& tensors) {
  std::size_t bytes = 0;
  for (const HostTensor& tensor : tensors) bytes += tensor.allocation_bytes() + 256;
  return bytes;
}

std::string shape_fault(const DeviceArena& arena, const Operator& op, std::int64_t offset, std::int64_t padding) {
  Call call(op.spec(), op.fold(),
            {.tokens = shape_tokens,
             .offset = offset,
             .stride_padding = padding,
             .seed = static_cast<std::uint64_t>(1000 * op.spec().n + offset)});
  return fault_on_device(arena, call, op);
}

std::int64_t padding_of(std::int64_t n, std::int64_t offset) { return (n + offset) % 3 == 0 ? 0 : offset % 5; }

}  // namespace

void check_shapes(const Runtime& runtime, DType dtype, const Grid& grid) {
  const DeviceArena arena(runtime, std::size_t{1} << 20);
  for (const std::int64_t n : grid.lengths) {
    Operator op = runtime.rms_norm({.n = n, .dtype = dtype, .residual = n % 2 == 0});
    op.prepare(std::vector{shape_tokens}, {.alignment = static_cast<int>(size_of(dtype))});
    for (const std::int64_t offset : grid.offsets) {
      const std::int64_t padding = padding_of(n, offset);
      INFO("N=", n, " offset=", offset, " padding=", padding, " ", name_of(dtype));
      CHECK(shape_fault(arena, op, offset, padding) == "");
    }
  }
}

void check_named_shapes(const Runtime& runtime, const Grid& grid) {
  const auto named = named_operators();
  std::vector<std::string> faults(named.size() * grid.lengths.size());
  for_each_parallel(faults.size(), [&](std::size_t i) {  // most of the time goes to compilers
    const std::size_t place = i / grid.lengths.size(), length = i % grid.lengths.size();
    const std::vector<DType> dtypes = dtypes_of(named[place]);
    const Operator op = runtime.make_operator(named[place].make(grid.lengths[length], dtypes[(place + length) % dtypes.size()]));
    const DeviceArena arena(runtime, std::size_t{1} << 20);
    for (const std::int64_t offset : grid.offsets) {
      const std::int64_t padding = padding_of(op.spec().n, offset);
      if (const std::string what = shape_fault(arena, op, offset, padding); !what.empty())
        faults[i] += fmt::format("{}, offset {}, padding {}: {}\n", text(op.spec()), offset, padding, what);
    }
  });
  for (const std::string& fault : faults) CHECK(fault == "");
}

void check_batches(const Operator& op, const Runtime& runtime, std::int64_t rows,
                   const std::vector<std::int64_t>& batches) {
  Call call(op.spec(), op.fold(), {.tokens = rows});
  const DeviceArena arena(runtime, bytes_of(call.inputs()) + bytes_of(call.outputs()));
  INFO(text(op.spec()));
  // Rows alone.
  CHECK(fault_on_device(arena, call, [&](auto stream, auto inputs, auto outputs, std::int64_t tokens) {
          for (std::int64_t row = 0; row < tokens; ++row) {
            std::vector<ConstTensor> in(inputs.begin(), inputs.end());
            std::vector<MutableTensor> out(outputs.begin(), outputs.end());
            for (std::size_t i = 0; i < in.size(); ++i) {
              const Tensor& tensor = op.spec().inputs[i];
              in[i].data = static_cast<const std::byte*>(in[i].data) +
                           row_offset(op.spec(), tensor, in[i].row_stride, row) * static_cast<std::int64_t>(size_of(tensor.dtype));
            }
            for (std::size_t i = 0; i < out.size(); ++i)
              out[i].data =
                  static_cast<std::byte*>(out[i].data) +
                  row_offset(op.spec(), op.spec().outputs[i], out[i].row_stride, row) *
                      static_cast<std::int64_t>(size_of(op.spec().outputs[i].dtype));
            op.launch(stream, in, out, 1);
          }
        }) == "");

  // Batches, on tensors that stay on the device; the rows alone are what they are compared with.
  Random random(7);
  for (const std::int64_t batch : batches) {
    const std::int64_t period = groups(op.spec());
    const std::int64_t first =
        random.one_in(2) || batch >= rows
            ? 0
            : static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(rows - batch))) / period * period;
    std::size_t place = 0;
    std::vector<ConstTensor> inputs;
    std::vector<MutableTensor> outputs;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < call.inputs().size(); ++i) {
      const HostTensor& tensor = call.inputs()[i];
      const Tensor& input = op.spec().inputs[i];
      const auto distance = static_cast<std::size_t>(has_stride(input.extent) ? row_offset(op.spec(), input, tensor.row_stride(), first) : 0) *
                            size_of(input.dtype);
      inputs.push_back(
          {arena.memory().data() + place + tensor.data_offset() + distance, tensor.row_stride()});
      place += (tensor.allocation_bytes() + 255) / 256 * 256;
    }
    for (const HostTensor& tensor : call.outputs()) {
      places.push_back(place + tensor.data_offset());
      outputs.push_back({arena.memory().data() + places.back(), tensor.row_stride()});
      place += (tensor.allocation_bytes() + 255) / 256 * 256;
    }
    const std::int64_t tokens = std::min(batch, rows);
    op.launch(arena.queue().stream(), inputs, outputs, tokens);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const HostTensor& expected = call.expected()[i];
      const auto row_bytes = static_cast<std::size_t>(row_elements(op.spec(), op.spec().outputs[i].extent)) * size_of(expected.dtype());
      REQUIRE(expected.row_stride() == expected.n());  // dense, groups of rows too
      std::vector<std::byte> actual(static_cast<std::size_t>(tokens) * row_bytes);
      arena.memory().download(actual.data(), actual.size(), places[i]);
      INFO("batch of ", tokens, " from row ", first, ", output ", op.spec().outputs[i].name);
      CHECK(std::memcmp(actual.data(), expected.row(0) + static_cast<std::size_t>(first) * row_bytes, actual.size()) == 0);
    }
  }
}

std::vector<std::int64_t> around_boundaries(const Operator& op, std::int64_t most) {
  std::set<std::int64_t> counts{1, most};
  for (const std::int64_t first : op.boundaries())
    for (const std::int64_t tokens : {first - 1, first, first + 1})
      if (tokens >= 1 && tokens <= most) counts.insert(tokens);
  return {counts.begin(), counts.end()};
}

namespace {

/// For each output the inputs whose place it may take, and -1 for none.
std::vector<std::vector<int>> possible_places(const Spec& spec) {
  const std::vector<int> gathered = gathered_inputs(spec);
  std::vector<std::vector<int>> places;
  for (const Output& output : spec.outputs) {
    places.push_back({-1});
    for (int i = 0; i < static_cast<int>(spec.inputs.size()); ++i) {
      const Tensor& input = spec.inputs[static_cast<std::size_t>(i)];
      const bool alike = input.extent == Extent::row && output.extent == Extent::row && input.dtype == output.dtype && input.groups == output.groups;
      if (alike && std::find(gathered.begin(), gathered.end(), i) == gathered.end()) places.back().push_back(i);
    }
  }
  return places;
}

/// One call whose output i lies in the place of input `in_place[i]`.
void check_places(const Runtime& runtime, const Operator& op, const std::vector<int>& in_place) {
  const std::int64_t tokens = 37;
  Call call(op.spec(), op.fold(), {.tokens = tokens});
  const DeviceArena arena(runtime, bytes_of(call.inputs()) + bytes_of(call.outputs()));
  // What lies in an input's place is compared by hand: the call expects its inputs untouched.
  std::size_t place = 0;
  std::vector<ConstTensor> inputs;
  std::vector<std::size_t> input_places;
  for (HostTensor& tensor : call.inputs()) {
    arena.memory().upload(tensor.allocation(), tensor.allocation_bytes(), place);
    input_places.push_back(place + tensor.data_offset());
    inputs.push_back({arena.memory().data() + input_places.back(), tensor.row_stride()});
    place += (tensor.allocation_bytes() + 255) / 256 * 256;
  }
  std::vector<MutableTensor> outputs;
  std::vector<std::size_t> output_places;
  for (std::size_t i = 0; i < call.outputs().size(); ++i) {
    HostTensor& tensor = call.outputs()[i];
    arena.memory().upload(tensor.allocation(), tensor.allocation_bytes(), place);
    output_places.push_back(in_place[i] < 0 ? place + tensor.data_offset() : input_places[static_cast<std::size_t>(in_place[i])]);
    outputs.push_back({arena.memory().data() + output_places.back(), tensor.row_stride()});
    place += (tensor.allocation_bytes() + 255) / 256 * 256;
  }
  op.launch(arena.queue().stream(), inputs, outputs, tokens);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    // Dense; the last group of rows may be begun only.
    const std::size_t bytes = static_cast<std::size_t>(tokens * row_elements(op.spec(), op.spec().outputs[i].extent)) * size_of(op.spec().outputs[i].dtype);
    std::vector<std::byte> actual(bytes);
    arena.memory().download(actual.data(), bytes, output_places[i]);
    CHECK(std::memcmp(actual.data(), call.expected()[i].row(0), bytes) == 0);
  }
}

}  // namespace

void check_in_place(const Runtime& runtime, const Spec& spec) {
  const Operator op = runtime.make_operator(spec);
  const auto places = possible_places(spec);
  std::vector<int> in_place(places.size(), -1);
  const std::function<void(std::size_t)> choose = [&](std::size_t output) {
    if (output == places.size()) {
      INFO(text(spec), fmt::format(" with outputs in the places of inputs {}", fmt::join(in_place, ", ")));
      return check_places(runtime, op, in_place);
    }
    for (const int place : places[output]) {
      const auto before = in_place.begin() + static_cast<std::ptrdiff_t>(output);
      if (place >= 0 && std::find(in_place.begin(), before, place) != before) continue;
      in_place[output] = place;
      choose(output + 1);
    }
  };
  choose(0);
}

void check_named_batches(const Runtime& runtime, std::int64_t n) {
  for (const NamedOperator& named : named_operators())
    check_batches(runtime.make_operator(named.make(n, DType::bf16)), runtime, 48, {2, 3, 17, 32, 48});
}

void check_named_in_place(const Runtime& runtime, std::int64_t n) {
  for (const NamedOperator& named : named_operators()) check_in_place(runtime, named.make(n, DType::f32));
}

}  // namespace isofold::testing
