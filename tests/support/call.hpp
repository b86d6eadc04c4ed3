#pragma once
#include <isofold/codegen/fold.hpp>
#include <isofold/codegen/interpreter.hpp>
#include <isofold/codegen/spec.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/tensor.hpp"

namespace isofold::testing {

struct CallOptions {
  std::int64_t tokens = 1;
  std::int64_t offset = 0;          // of every tensor, in elements
  std::int64_t stride_padding = 0;  // elements between the rows of row tensors
  std::uint64_t seed = 1;
  std::uint64_t first_kind = 0;  // of row 0; the first kind shows every order of additions
  std::vector<std::int32_t> integers = {};  // of inputs of integers, from number `seed` on; none: around 0 to N at random
  std::vector<float> numbers = {};          // of f32 inputs of one number per token or in all, likewise; none: normal, some infinite
  bool ordinary_rows = false;    // normal rows only, instead of one kind after the other
};

/// Scales, temperatures and sinks that meet every case of the operations; more than the first of a scalar takes as many seeds.
inline const std::vector<float> hard_numbers{1,
                                             0,
                                             -0.0f,
                                             std::numeric_limits<float>::quiet_NaN(),
                                             std::numeric_limits<float>::infinity(),
                                             -std::numeric_limits<float>::infinity(),
                                             1e-40f,
                                             -1};

/// Whether the Spec has inputs that `numbers` fills.
bool takes_numbers(const Spec& spec);

/// The tensors of one call: inputs filled, outputs still canaries, and what the oracle says the outputs must
/// be.
class Call {
 public:
  Call(const Spec& spec, const Fold& fold, const CallOptions& options);

  const Spec& spec() const { return spec_; }
  std::int64_t tokens() const { return options_.tokens; }
  std::vector<HostTensor>& inputs() { return inputs_; }
  std::vector<HostTensor>& outputs() { return outputs_; }
  const std::vector<HostTensor>& expected() const { return expected_; }
  std::vector<ConstView> input_views() const;
  std::vector<View> output_views();

  /// Outputs as before the call: every byte a canary.
  void reset_outputs();

  /// Empty when the outputs are the oracle's bytes, all canaries are whole and no input was written; else the
  /// first thing that is wrong.
  std::string fault() const;

 private:
  template <class TensorOrOutput>
  Shape shape_of(const TensorOrOutput& tensor) const;

  Spec spec_;
  CallOptions options_;
  std::vector<HostTensor> inputs_;
  std::vector<HostTensor> original_inputs_;
  std::vector<HostTensor> outputs_;
  std::vector<HostTensor> expected_;
};

}  // namespace isofold::testing
