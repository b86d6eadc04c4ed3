#pragma once
#include <isofold/codegen/dtype.hpp>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isofold {

/// Collects the device helper functions that a kernel uses; each is a template of its own.
class CudaHelpers {
 public:
  /// How an access treats the caches: default, streaming (no L1 allocation, evicted first), or read-only.
  enum class Memory { cached, streaming, constant };

  /// Names the helper for the generated text and notes that it is used.
  std::string load(int bytes, Memory memory);
  std::string store(int bytes, Memory memory);
  std::string widen(DType dtype);
  std::string pack(DType dtype);
  std::string round(DType dtype);
  std::string use(std::string_view name);

  /// Of every helper that there is.
  static std::span<const std::string_view> names();

  /// (name, text) of every used helper, dependencies first, in an order that never changes.
  std::vector<std::pair<std::string, std::string>> texts() const;

 private:
  struct Used {
    std::string name;      // in the generated text
    std::string file;      // template
    std::string suffix;    // of the name
    std::string qualifier;  // of the PTX instruction
    bool operator==(const Used&) const = default;
  };
  std::string add(Used used);
  std::vector<Used> used_;
};

}  // namespace isofold
