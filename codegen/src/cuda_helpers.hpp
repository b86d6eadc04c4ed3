#pragma once
#include <isofold/codegen/dtype.hpp>
#include <isofold/codegen/spec.hpp>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "template_text.hpp"

namespace isofold {

/// Collects the device helper functions that a kernel uses; each is a template of its own, or a function's definition.
class CudaHelpers {
 public:
  /// For kernels of compute capability `arch` / 10; `wide`: their numbers are binary64.
  CudaHelpers(int arch, bool wide) : arch_(arch), wide_(wide) {}
  bool is_wide() const { return wide_; }
  /// "float" or "double".
  const char* real() const { return wide_ ? "double" : "float"; }

  /// How an access treats the caches: default, streaming (no L1 allocation, evicted first), or read-only.
  enum class Memory { cached, streaming, constant };

  /// Names the helper for the generated text and notes that it is used.
  std::string load(int bytes, Memory memory);
  std::string store(int bytes, Memory memory);
  std::string widen(DType dtype);
  std::string pack(DType dtype);
  std::string round(DType dtype);
  std::string function(int index);  // of functions()
  /// `name` is one of the helpers that combine two partial results: halve, halve_two, adjacent_pairs.
  std::string tree(std::string_view name, Op reduction);
  /// The function that combines two partial results of a reduction.
  std::string combine(Op reduction);
  /// The function that reads one element of a row.
  std::string element(DType dtype);
  /// The function that chooses between two numbers.
  std::string choose();
  /// max_or_nan or min_or_nan.
  std::string extreme(std::string_view name);
  /// The same of both halves of two words of a 16-bit dtype.
  std::string extreme_of_pairs(Op reduction, DType dtype);
  /// The store to another block of the cluster.
  std::string store_in_block();
  std::string use(std::string_view name);

  /// What an element is in memory, as CUDA spells it.
  static const char* storage_type(DType dtype);

  /// Of every template that there is.
  static std::span<const std::string_view> names();

  /// (name, text) of every used helper, dependencies first, in an order that never changes.
  std::vector<std::pair<std::string, std::string>> texts() const;

 private:
  struct Used {
    std::string name;  // in the generated text
    std::string file;  // template
    std::vector<std::pair<std::string, std::string>> markers;
    bool operator==(const Used&) const = default;
  };
  std::string add(Used used);
  int arch_;
  bool wide_;
  std::vector<Used> used_;
  std::map<int, std::string> functions_;  // texts
};

}  // namespace isofold
