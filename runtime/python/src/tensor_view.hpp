#pragma once
#include <nanobind/nanobind.h>
#include <isofold/codegen/dtype.hpp>
#include <isofold/codegen/spec.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dlpack.hpp"

namespace isofold::python {

/// A tensor of some framework: memory, shape, strides, where it is. Borrowed from the Python object, which
/// outlives it.
class TensorView {
 public:
  dlpack::Tensor tensor{};
  bool read_only = false;
  const dlpack::ExchangeApi* api = nullptr;  // of the framework it is from
  std::optional<std::uintptr_t> stream;  // that its producer works on, as __cuda_array_interface__ says it

  TensorView() = default;
  TensorView(TensorView&&) = default;
  TensorView& operator=(TensorView&&) = default;

  void* data() const { return static_cast<char*>(tensor.data) + tensor.byte_offset; }
  bool on_host() const {
    return tensor.device.type == dlpack::cpu || tensor.device.type == dlpack::cuda_host;
  }
  bool on_cuda() const {
    return tensor.device.type == dlpack::cuda || tensor.device.type == dlpack::cuda_managed;
  }
  /// "cpu", "cuda:0"
  std::string device_name() const;
  /// "float32", "bfloat16"
  std::string dtype_name() const;
  std::string shape_text() const;
  std::int64_t stride(int dimension) const;

 private:
  friend TensorView view_of(nanobind::handle object);
  void read_interface(const nanobind::object& interface, nanobind::handle object, bool cuda);
  void read_capsule(nanobind::handle object);
  std::string foreign_dtype_;        // name of one that DLPack cannot say
  std::vector<std::int64_t> sizes_;  // shape and strides where the object does not hold them as such
  nanobind::object owner_;           // what keeps them alive
};

/// Reads DLPack's exchange interface, `__cuda_array_interface__`, `__array_interface__` or `__dlpack__`, the
/// first of them that the object has. Nothing is copied and no stream is waited for. Throws TypeError for
/// what is no tensor, UsageError for one whose memory cannot be read as it is.
TensorView view_of(nanobind::handle object);

/// The exchange interface of the object's type, or null.
const dlpack::ExchangeApi* exchange_api_of(nanobind::handle object);
const dlpack::ExchangeApi* exchange_api_of_type(nanobind::handle type);

/// Does memory of this type hold what a Spec calls `dtype`? bf16 and e4m3 may also come as unsigned integers
/// of their width, for NumPy, which has neither.
bool holds(const dlpack::DataType& type, DType dtype);
std::optional<DType> dtype_of(const dlpack::DataType& type);

/// The dimensions [0, count) as one: how many rows, and how far apart in elements (0 where there is at most
/// one). Nothing where they have no one distance.
struct Rows {
  std::int64_t count = 1;
  std::int64_t stride = 0;
};
std::optional<Rows> rows_of(const TensorView& view, int dimensions);

}  // namespace isofold::python
