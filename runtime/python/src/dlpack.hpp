#pragma once
/// The part of DLPack's binary interface (versions 1.0 to 1.3) that tensors are read through, declared here
/// as CUDA's is: there is no header to install. https://dmlc.github.io/dlpack/latest/c_api.html
#include <cstdint>

namespace isofold::python::dlpack {

enum DeviceType : std::int32_t { cpu = 1, cuda = 2, cuda_host = 3, cuda_managed = 13 };
enum TypeCode : std::uint8_t {
  integer = 0,
  unsigned_integer = 1,
  floating = 2,
  bfloat = 4,
  complex = 5,
  boolean = 6,
  e4m3fn = 10
};

struct Device {
  std::int32_t type;
  std::int32_t index;
};

struct DataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null: dense
  std::uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
};

struct Version {
  std::uint32_t major;
  std::uint32_t minor;
};

struct VersionedTensor {
  Version version;
  void* context;
  void (*deleter)(VersionedTensor*);
  std::uint64_t flags;
  Tensor tensor;
};
inline constexpr std::uint64_t read_only_flag = 1;

/// What a framework's tensor type offers as `__dlpack_c_exchange_api__`: tensors and streams without a Python
/// call.
struct ExchangeApi {
  Version version;
  ExchangeApi* previous;
  int (*allocate)(Tensor*, VersionedTensor**, void*, void (*)(void*, const char*, const char*));
  int (*managed_from_object)(void*, VersionedTensor**);
  int (*object_from_managed)(VersionedTensor*, void**);
  int (*tensor_from_object)(void* object, Tensor* tensor);  // borrowed from the object; may be null
  int (*current_stream)(DeviceType type, std::int32_t index, void** stream);
};

}  // namespace isofold::python::dlpack
